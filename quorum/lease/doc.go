// Package lease lets a member answer from its own copy without asking anybody.
//
// A lease is a promise of one member, the grantor, to another one, its holder: until it ends, the
// grantor acknowledges nothing without naming the holder. Whoever counts such an acknowledgement
// waits until the holder has acknowledged, too. So what is complete is in the copy of a member that
// holds leases of R-1 others. A quorum could tell it nothing new.
//
// A lease that is renewed in time goes on as the same session. The grantor numbers its sessions.
// Grants are the leases that a node has given, and Held those that it holds.
//
// Leases rest on one assumption: the rates of two nodes' clocks differ by less than a tenth. The
// readings of two clocks are never compared. A machine that stands still while others go on breaks
// the assumption. Where its hypervisor tells of that, what is held does not count any more
// (Jumping).
//
// Rules, cited by number (docs/consistency.md):
//
//	L1.  A holder notes its clock, and then asks. The grantor's promise ends a term after it was
//	     asked, by its own clock. The holder counts on eight tenths of a term from the moment that
//	     it noted. A session that has ended, was closed, or belongs to another process at either end
//	     is never renewed: the next one has a higher number.
//	L2.  A session counts once the holder has merged all that the grantor held at some moment after
//	     the session began.
//	L3.  A member checks that R-1 sessions count, or one, of active members at its epoch. Then it
//	     looks a record up.
//	L4.  Names are looked up after the record was stored.
//	L5.  A session is over when its grantor's clock is past the last end that it promised, and stays
//	     over. A grantor is asked to close a session for which a write waits: it is not renewed any
//	     more, and its holder gets no other one for a while.
//	L10. A member that has adopted an epoch is quiet once all promises are over that it made to
//	     members who may be below that epoch.
//	L13. A member that stops gives back what it holds first, and gives no more.
//	L14. An acknowledgement of what was written without asking vouches for it, while the session
//	     that its coordinator relied on is still named.
//
// Sources: Gray and Cheriton, Leases, SOSP 1989; Moraru, Andersen and Kaminsky, Paxos quorum
// leases, Symposium on Cloud Computing 2014; Katsarakis et al., Hermes, ASPLOS 2020.
package lease
