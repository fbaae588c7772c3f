// Command against measures neighbours in the field with the same generator, keys and mixes as bench run: Redis, and etcd.
//
//	go build -o ../../bin/bench-against .
//	../../bin/bench run --against redis://127.0.0.1:6379,etcd://127.0.0.1:2379 --keys 100k
//
// bench run starts it where it finds it beside itself or on the PATH. It also runs alone:
//
//	../../bin/bench-against --target redis://127.0.0.1:6379 --keys 100000 --mix b --duration 10s --out ../../out
//
// It is a module of its own, so that the product and its bench do not link the neighbours' drivers. Its reports are those of bench, and
// bench compare compares them.
//
// What is compared is what users get by default, which is not the same everywhere: a Redis replicates without waiting and may lose acknowledged
// writes; etcd writes each change to disk before it acknowledges; viakv waits for a majority of memories.
package main
