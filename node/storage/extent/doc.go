// Package extent hands out blocks of 256 bytes to 32 KiB from memory outside the Go heap. The
// collector neither scans nor counts that memory, and freed space serves blocks of any size again.
//
//	region 256 MiB, mapped when needed │ extent 128 KiB: blocks of one class │ block
//
// A class is a block size. There are eight classes in each doubling, so a block is at most an
// eighth longer than asked for. An extent whose last block was freed goes back to the pool and may
// serve any class next. Beyond a reserve the pages of such extents go back to the system.
//
// Invariants:
//
//	E1. A block belongs to one caller from Allocate to Free. After Free its bytes may be another
//	    caller's at once, so no slice of it may be kept.
//	E2. An extent's class does not change while one of its blocks is out. So Free may read the
//	    class before it locks.
//	E3. A class's lock is taken before the pool's. Bytes takes no lock: a region is in place
//	    before the first Ref into it is out.
//
// Blocks are not zeroed.
package extent
