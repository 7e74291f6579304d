// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func testNode2(meta []byte) *memberlist.Node {
	return &memberlist.Node{Name: "n2", Addr: net.IPv4(10, 0, 0, 2), Port: 4612, Meta: meta}
}

func TestMergeWithAnotherClusterIsRefusedAsAWhole(t *testing.T) {
	r, _ := testRoster()
	h := &hooks{roster: r}
	own := testNode2(metaOf(2))
	garbage := testNode2([]byte("role=consul"))
	foreign := testNode2(encodeMeta(testTag+1, testMeta()))
	if err := h.NotifyMerge([]*memberlist.Node{own, garbage}); err != nil {
		t.Errorf("one member that makes no sense kept the rest apart: %v", err)
	}
	err := h.NotifyMerge([]*memberlist.Node{own, foreign})
	if !errors.Is(err, errForeign) || r.foreignRefused.Load() != 1 {
		t.Errorf("a foreign cluster: %v, counted %d", err, r.foreignRefused.Load())
	}
}

func TestMemberThatCanNotBeReachedIsRefused(t *testing.T) {
	r, _ := testRoster()
	h := &hooks{roster: r}
	if err := h.NotifyAlive(testNode2(metaOf(2))); err != nil {
		t.Errorf("a good one: %v", err)
	}
	noPort, oddAddr := testNode2(metaOf(2)), testNode2(metaOf(2))
	noPort.Port, oddAddr.Addr = 0, net.IP{1, 2, 3}
	for _, n := range []*memberlist.Node{noPort, oddAddr} {
		if err := h.NotifyAlive(n); !errors.Is(err, errMeta) {
			t.Errorf("%v port %d: %v", []byte(n.Addr), n.Port, err)
		}
	}
}

func TestTrapN9StrayMessagesAreCountedAndIgnored(t *testing.T) {
	r, _ := testRoster()
	h := &hooks{roster: r}
	h.NotifyMsg([]byte("x"))
	h.MergeRemoteState([]byte("x"), true)
	if got := r.strayMessages.Load(); got != 2 {
		t.Errorf("counted %d, want 2", got)
	}
}

// strict is a transport that must not be shut down twice, nor used afterwards.
type strict struct {
	*testHost
	t    *testing.T
	ends int
}

func (s *strict) Shutdown() error { s.ends++; return s.testHost.Shutdown() }

func (s *strict) WriteTo(b []byte, to string) (time.Time, error) {
	if s.ends > 0 {
		s.t.Error("a packet after the shutdown")
	}
	return time.Time{}, nil
}

func (s *strict) DialTimeout(string, time.Duration) (net.Conn, error) {
	if s.ends > 0 {
		s.t.Error("a dial after the shutdown")
	}
	return nil, errRefused
}

func TestTransportIsShutDownOnceAndThenLeftAlone(t *testing.T) {
	s := &strict{testHost: newTestNet().host(testAddress(1)), t: t}
	g := newGuard(s)
	if _, err := g.WriteTo(nil, testAddress(2)); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := g.Shutdown(); err != nil {
			t.Error(err)
		}
	}
	if s.ends != 1 {
		t.Errorf("shut down %d times", s.ends)
	}
	if _, err := g.WriteTo(nil, testAddress(2)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write: %v, want closed", err)
	}
	if _, err := g.DialTimeout(testAddress(2), time.Second); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial: %v, want closed", err)
	}
}
