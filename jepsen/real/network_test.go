// SPDX-License-Identifier: Apache-2.0

package real

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/network"
)

// TestNodesBehindANetworkOfOurs has a node cut off from everybody in each mode: others answer,
// it does not, and once healed it has what it missed.
func TestNodesBehindANetworkOfOurs(t *testing.T) {
	binary := build(t)
	for _, mode := range []network.Mode{network.ModeSwitch, network.ModeVeth, network.ModeProxy} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel() // they mostly wait
			cutOneOff(t, binary, mode)
		})
	}
}

func cutOneOff(t *testing.T, binary string, mode network.Mode) {
	const nodes, port = 3, 25_610
	n, err := network.New(t.Context(), network.Config{
		Hosts: nodes, Clients: 1, Mode: mode, Apart: true,
		Ports: []uint16{port, port + 1, port + 2, port + 3},
	})
	if err != nil {
		if os.Getenv("DYNO_RIG") == "require" {
			t.Fatalf("DYNO_RIG=require: %v", err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	s := Site{
		Binary: binary, Dir: t.TempDir(), Nodes: nodes, Flags: []string{"--insecure"},
		Run:  func(i int, cmd *exec.Cmd) error { return n.Start(i, cmd) },
		Dial: func(ctx context.Context, a string) (net.Conn, error) { return n.Dial(ctx, 0, a) },
	}
	for i := range nodes {
		s.Addresses = append(s.Addresses, netip.AddrPortFrom(n.Addr(i), port).String())
		if n.Listen(i) != n.Addr(i) {
			s.Listen = append(s.Listen, netip.AddrPortFrom(n.Listen(i), port).String())
		}
	}
	c, err := StartAt(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	cl, err := c.Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	put := func(i int, key string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := cl.Bucket("default").Put(ctx, []byte(key), []byte("value"),
			client.WithEndpoint(s.Addresses[i]))
		return err
	}
	const cut = 2
	for host := range nodes + 1 {
		for _, way := range [][2]int{{host, cut}, {cut, host}} {
			if host != cut {
				if err := n.Set(way[0], way[1], network.Rule{Drop: true}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for k := range 10 {
		if err := put(0, fmt.Sprint("key ", k)); err != nil {
			t.Errorf("two of three nodes: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	_, err = c.admin.MetaStatus(ctx, client.WithEndpoint(s.Addresses[cut]))
	cancel()
	if err == nil {
		t.Error("a node that is cut off answers")
	}
	if n.Counts(0, cut).Bites() == 0 {
		t.Errorf("nothing was cut between nodes: %+v", n.Counts(0, cut))
	}
	n.Heal()
	if err := c.Ready(t.Context(), c.all()...); err != nil {
		t.Fatal(err)
	}
	if err := c.await(t.Context(), func(ctx context.Context) string {
		if err := put(cut, "after"); err != nil {
			return err.Error()
		}
		return ""
	}); err != nil {
		t.Errorf("after healing: %v", err)
	}
}
