// Command against measures other stores, Raft KV, Redis, etcd and NATS, with the generator, keys
// and mixes of bench run.
//
//	make build-against
//	bin/bench baseline --against raft,redis-wait,etcd,nats
//	bin/bench run --against redis://127.0.0.1:6379,etcd://127.0.0.1:2379 --keys 100k
//
// The command bench starts this program when it lies beside bench or on the PATH. With the command
// turns it starts viakv and the other stores itself and measures them in turns. Otherwise it
// measures stores that run already, one after another:
//
//	bin/bench-against --target 'redis://127.0.0.1:6379?wait=1' --keys 100000 --mix b \
//	    --duration 10s --out out
//
// It is a module of its own, so that viakv and bench do not link the drivers of the other stores.
// Its reports are those of bench, and bench compare compares them.
//
// The comparison shows what users get, which is not the same for each store. Redis replicates
// without waiting and may lose acknowledged writes; with WAIT it loses fewer of them. Etcd writes
// each change to disk before it acknowledges it. NATS answers reads from any replica, perhaps
// stale. Viakv and Raft KV wait until a majority has the write in memory, and all their reads are
// linearizable.
package main
