// Command against measures other stores, Redis and etcd, with the generator, keys and mixes of
// bench run.
//
//	go build -o ../../bin/bench-against .
//	../../bin/bench run --against redis://127.0.0.1:6379,etcd://127.0.0.1:2379 --keys 100k
//
// The command bench run starts this program when it lies beside bench or on the PATH. It also runs
// by itself:
//
//	../../bin/bench-against --target redis://127.0.0.1:6379 --keys 100000 --mix b \
//	    --duration 10s --out ../../out
//
// It is a module of its own, so that viakv and bench do not link the drivers of the other stores.
// Its reports are those of bench, and bench compare compares them.
//
// The comparison shows what users get by default, which is not the same for each store. Redis
// replicates without waiting and may lose acknowledged writes. Etcd writes each change to disk
// before it acknowledges it. Viakv waits until a majority has the write in memory.
package main
