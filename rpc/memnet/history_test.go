// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAnObserverHearsEachDeliveryOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		n.SetDefaults(Faults{Delay: ms})
		began := time.Now()
		var got []Delivery
		n.Observe(func(d Delivery) { got = append(got, d) })
		pa, pb := packetPair(t, n)
		a, b := connect(t, n)
		mustSend(t, pa, "b:1", "a")
		arrive(t, pb, began)
		began2 := time.Now()
		mustWrite(t, a, "foobar")
		mustRead(t, b, "foo") // a segment is one delivery however it is read
		mustRead(t, b, "bar")
		_ = a.Close()
		for range 2 {
			if err := readError(t, b, time.Second); err != io.EOF {
				t.Fatal(err)
			}
		}
		// What FNV-1a gives by its definition for nothing, "a" and "foobar".
		const nothing, one, six = 0xcbf29ce484222325, 0xaf63dc4c8601ec8c, 0x85944171f73967e8
		want := []Delivery{
			{began.Add(2 * ms), "a:40000", "b:1", KindConnect, 0, nothing},
			{began.Add(3 * ms), "a:1", "b:1", KindPacket, 1, one},
			{began2.Add(1 * ms), "a:40000", "b:1", KindBytes, 6, six},
			{began2.Add(2 * ms), "a:40000", "b:1", KindEnd, 0, nothing},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		wantStats(t, n, "delivered", n.Stats().Delivered, 2)
		wantStats(t, n, "delivered bytes", n.Stats().DeliveredBytes, 7)
		n.Observe(nil)
		mustSend(t, pb, "a:1", "unheard")
		if unheard := arrive(t, pa, time.Now()); len(unheard) != 1 {
			t.Errorf("got %v", unheard)
		}
		if len(got) != 4 {
			t.Errorf("heard %v after the end", got[4:])
		}
	})
}

func TestAnObserverHearsAReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, _ := connect(t, n)
		var got []string
		n.Observe(func(d Delivery) { got = append(got, d.From+" "+d.To+" "+d.Kind.String()) })
		n.Kill("b")
		for range 2 {
			if err := readError(t, a, time.Second); !errors.Is(err, syscall.ECONNRESET) {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]string{"b:1 a:40000 reset"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// talk has hosts x and y exchange packets and bytes, count of each in each direction.
func talk(t *testing.T, n *Network, x, y string, count int) {
	var sockets [2]net.PacketConn
	names := []string{x + ":to-" + y, y + ":to-" + x}
	for i, name := range names {
		p, err := n.ListenPacket(name)
		if err != nil {
			t.Error(err)
			return
		}
		sockets[i] = p
	}
	ln, err := n.Listen(names[1])
	if err != nil {
		t.Error(err)
		return
	}
	near, err := n.Dial(t.Context(), x, names[1])
	if err != nil {
		t.Error(err)
		return
	}
	far, err := ln.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	var all sync.WaitGroup
	for i, socket := range sockets {
		all.Go(func() {
			for j := range count {
				mustSend(t, socket, names[1-i], fmt.Sprintf("packet %d", j))
				time.Sleep(3 * ms)
			}
			arrive(t, socket, time.Now())
		})
	}
	for _, ends := range [][2]net.Conn{{near, far}, {far, near}} {
		all.Go(func() {
			time.Sleep(ms / 2) // never at the instant of a packet: who is first then is luck
			for j := range count {
				fmt.Fprintf(ends[0], "bytes %d;", j)
				time.Sleep(7 * ms)
			}
		})
		all.Go(func() {
			buf := make([]byte, 64)
			_ = ends[1].SetReadDeadline(time.Now().Add(time.Minute))
			for {
				if _, err := ends[1].Read(buf); err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	_ = errors.Join(ln.Close(), near.Close(), far.Close())
}

// story is what comes from each address to each other one while hosts talk in pairs,
// under every fault.
func story(t *testing.T, seed uint64, counts map[Link]int) map[Link][]Delivery {
	heard := make(map[Link][]Delivery)
	synctest.Test(t, func(t *testing.T) {
		n := New(seed)
		n.SetDefaults(Faults{
			Delay: ms, Jitter: 20 * ms, Slow: 0.05, SlowBy: time.Second, Loss: 0.1, Twice: 0.1,
			Reorder: 0.1, Reset: 0.0005, Rate: 100_000,
		})
		n.Observe(func(d Delivery) {
			l := Link{d.From, d.To}
			heard[l] = append(heard[l], d)
		})
		var all sync.WaitGroup
		for pair, count := range counts {
			all.Go(func() { talk(t, n, pair.From, pair.To, count) })
		}
		time.Sleep(200 * ms)
		n.Cut("a", "b")
		time.Sleep(200 * ms)
		n.Mend("a", "b")
		n.Pause("c")
		time.Sleep(200 * ms)
		n.Resume("c")
		all.Wait()
	})
	return heard
}

func TestTwoRunsOfOneSeedDeliverTheSame(t *testing.T) {
	counts := map[Link]int{{"a", "b"}: 200, {"c", "d"}: 200, {"a", "d"}: 200}
	first := story(t, 11, counts)
	if len(first) != 12 || len(first[Link{"a:to-b", "b:to-a"}]) < 100 {
		t.Fatalf("little was heard: %d pairs of addresses", len(first))
	}
	if diff := cmp.Diff(first, story(t, 11, counts)); diff != "" {
		t.Errorf("the same seed (-first +again):\n%s", diff)
	}
	if cmp.Equal(first, story(t, 12, counts)) {
		t.Error("two seeds told the same story")
	}
}

func TestTrafficOnOneLinkChangesNothingOnAnother(t *testing.T) {
	few := story(t, 11, map[Link]int{{"a", "b"}: 200, {"c", "d"}: 200})
	more := story(t, 11, map[Link]int{{"a", "b"}: 200, {"c", "d"}: 201, {"b", "d"}: 100})
	heard := 0
	for l, deliveries := range few {
		if host(l.From) == "c" || host(l.To) == "c" {
			continue // there the traffic is another
		}
		heard += len(deliveries)
		if diff := cmp.Diff(deliveries, more[l]); diff != "" {
			t.Errorf("%v (-alone +beside others):\n%s", l, diff)
		}
	}
	if heard < 400 {
		t.Errorf("only %d deliveries were compared", heard)
	}
	if l := (Link{"c:to-d", "d:to-c"}); cmp.Equal(few[l], more[l]) {
		t.Error("one message more was not heard")
	}
}

func TestAStreamFaresTheSameBesideAnother(t *testing.T) {
	second := func(others int) (times []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			n := New(3)
			ln := mustListen(t, n, "b:1")
			var ends [2][2]net.Conn
			for i := range ends {
				ends[i][0], ends[i][1] = pair(t, n, ln)
			}
			n.SetDefaults(Faults{Jitter: time.Second, Loss: 0.1})
			began := time.Now()
			for range 20 {
				for range others {
					mustWrite(t, ends[0][0], "x")
				}
				mustWrite(t, ends[1][0], "y")
				mustRead(t, ends[1][1], "y")
				times = append(times, time.Since(began))
			}
		})
		return times
	}
	if diff := cmp.Diff(second(1), second(5)); diff != "" {
		t.Errorf("(-beside one +beside five):\n%s", diff)
	}
}

func TestNoTwoConnectionsShareTheirDraws(t *testing.T) {
	n := New(3)
	one, other := n.Host("a").begin("b:1"), n.Host("b").begin("a:1")
	if one.numberThere == other.numberBack || one.numberBack == other.numberThere {
		t.Errorf("%d and %d from a to b, %d and %d back",
			one.numberThere, other.numberBack, one.numberBack, other.numberThere)
	}
}
