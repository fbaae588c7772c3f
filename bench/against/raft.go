package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"viakv/bench/against/raftkv"
	"viakv/bench/baseline"
)

// raftCommand is the command of this program that serves one node of Raft KV.
const raftCommand = "raft"

// serveRaft serves one node. The other nodes, and its place among them, come from the program that
// has started it, as baseline.Command says. It ends when its input does.
func serveRaft(ctx context.Context, in io.Reader, out io.Writer) error {
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = peer.Close() }()
	fmt.Fprintf(out, "%s%s\n", baseline.Meet, peer.Addr())
	input := bufio.NewReader(in)
	line, err := input.ReadString('\n')
	if err != nil {
		return err
	}
	number, addresses, _ := strings.Cut(strings.TrimSpace(line), " ")
	id, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return fmt.Errorf("the number of the node: %w", err)
	}
	n, err := raftkv.Start(raftkv.Config{ID: id, Peer: peer, Peers: strings.Fields(addresses)})
	if err != nil {
		return err
	}
	defer n.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	return baseline.ServeUntilClosed(ctx, l, input, out, n.Serve)
}
