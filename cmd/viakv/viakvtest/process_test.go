package viakvtest

import "testing"

// TestPortsAndAddressesAreGivenOutOnce checks that several ranges and addresses differ. Tests take
// several before a node listens at any of them.
func TestPortsAndAddressesAreGivenOutOnce(t *testing.T) {
	const n = 3
	ports := map[int]bool{}
	addresses := map[string]bool{}
	for range 40 {
		http, peer := FreePorts(t, n)
		for i := range n {
			for _, port := range []int{http + i, peer + i} {
				if ports[port] || port < 20_000 || port >= 32_000 {
					t.Fatalf("port %d is given out again, or not one of these", port)
				}
				ports[port] = true
			}
		}
		if a := FreeAddress(t); addresses[a] {
			t.Fatalf("%s is given out again", a)
		} else {
			addresses[a] = true
		}
	}
}
