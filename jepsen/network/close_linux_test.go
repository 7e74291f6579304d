// SPDX-License-Identifier: Apache-2.0

package network

import "testing"

func TestClosingANetworkAgainDoesNothing(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		closeTwice(t, testNetwork(t, mode, 1, 1)) // and again when the test ends
	})
	t.Run(string(ModeProxy), func(t *testing.T) {
		n, err := New(t.Context(), Config{
			Hosts: 1, Clients: 1, Ports: []uint16{41_397}, Apart: true, Mode: ModeProxy,
		})
		if err != nil {
			t.Fatal(err)
		}
		closeTwice(t, n)
	})
}

func closeTwice(t *testing.T, n Network) {
	t.Helper()
	for range 2 {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}
