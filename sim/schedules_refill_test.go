// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/node"
)

// What follows is played where the stores of owners are lost, and filled behind fences
// (docs/adr/0022). The group goes on meanwhile: who loses its disk has no seat in it, or is
// one of three that have.

// ofRefills are schedules of stores that are lost, in clusters of five: three have a seat.
func ofRefills() []schedule {
	return []schedule{
		{"a store that is being filled", "a store serves only when it is proven full",
			fillingStore},
		{"two stores that are lost one after the other",
			"what a store that is being filled acknowledges counts for nothing", lostInTurn},
		{"a wipe while an acknowledgement is under way", "owners are fenced before they are copied",
			wipeBesideWrite},
	}
}

// trio has the person speak of a key of which the two last hosts are owners, who have no seat
// in the group, and returns them and the third owner.
func (s *scene) trio(p *person) (first, second, third *Host) {
	s.t.Helper()
	first, second = s.Hosts[3], s.Hosts[4]
	for i := range 1000 {
		p.key = key(i)
		p.put(first, "before")
		owners, _ := s.ownersOf(p.key)
		if len(owners) != 3 || !slices.Contains(owners, first) || !slices.Contains(owners, second) {
			continue
		}
		for _, h := range owners {
			if h != first && h != second {
				return first, second, h
			}
		}
	}
	s.t.Fatal("no key belongs to both hosts that have no seat")
	return nil, nil, nil
}

// loseStore takes a host's power and all that it holds, and starts it again by an operator's
// word.
func (s *scene) loseStore(h *Host) {
	s.t.Helper()
	h.LosePower()
	must(s.t, h.Disk.Wipe())
	h.SetRejoin(true)
	must(s.t, h.Start(limit(s.t)))
}

// holdRefill keeps the refills of a host from their beginning, and goOn no more.
func (s *scene) holdRefill(h *Host) (goOn func()) {
	s.t.Helper()
	points, at := s.points[h], pointNamed(s.t, "transfer/before-fence")
	points.Arm(at, fail.Plan{Err: errors.New("held by the schedule")})
	return func() { points.Disarm(at) }
}

// pointNamed is the name of a failpoint that there is.
func pointNamed(t *testing.T, name string) string {
	t.Helper()
	if !slices.ContainsFunc(node.Points(), func(p fail.Point) bool { return p.Name == name }) {
		t.Fatalf("there is no failpoint %s", name)
	}
	return name
}

// until waits for something that must become true.
func (s *scene) until(what string, is func() bool) {
	s.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("not within two minutes: %s", what)
		}
	}
}

func filling(h *Host) func() bool {
	return func() bool { s, up := h.Status(); return up && (s.Filling || s.Ready) }
}

func serving(h *Host) func() bool {
	return func() bool { s, up := h.Status(); return up && s.Ready && s.Confirmed }
}

// strictW is that of a write that is on two owners, strictR that of a read that meets it.
func strictW(h *Host, timeout time.Duration) []client.Option {
	return []client.Option{
		through(h), client.WithW(2), client.WithPW(2), client.WithTimeout(timeout),
	}
}

func strictR(h *Host, timeout time.Duration) []client.Option {
	return []client.Option{
		through(h), client.WithR(2), client.WithPR(2), client.WithTimeout(timeout),
	}
}

// fillingStore: of the two owners that have a write one is down, and the other has lost its
// disk and is being filled: from nobody yet. The third has not heard of the write.
func fillingStore(s *scene) {
	x := s.person("x")
	first, second, third := s.trio(x)
	s.Net.Partition([]string{first.Addr, second.Addr, x.name}, s.addrs(first, second))
	_, err := x.bucket.Put(limit(s.t), x.key, []byte("x"), strictW(first, time.Minute)...)
	must(s.t, err)
	first.LosePower()
	s.Net.Heal()
	goOn := s.holdRefill(second)
	s.loseStore(second)
	s.until("it is being filled", filling(second))
	for _, h := range []*Host{second, third} {
		found, err := x.bucket.Get(limit(s.t), x.key, strictR(h, time.Second)...)
		if err == nil && len(found.Siblings) < 2 {
			s.errorf("%s says that two owners do not have what was acknowledged", h.Name)
		}
	}
	goOn()
	must(s.t, first.Start(limit(s.t)))
	s.until("it is full", serving(second))
	x.demandAt(second, client.One, "before", "x")
}

// addrs are the addresses of all hosts but some.
func (s *scene) addrs(but ...*Host) (addrs []string) {
	for _, h := range s.Hosts {
		if !slices.Contains(but, h) {
			addrs = append(addrs, h.Addr)
		}
	}
	return addrs
}

// lostInTurn: an owner is being filled, and another one, which can reach it alone, takes a
// write. Then that one loses its disk as well, and is filled from the third, which never
// heard of it. If the write was acknowledged, one of those who said so has lost its disk
// since, and it must be there.
func lostInTurn(s *scene) {
	x := s.person("x")
	first, second, third := s.trio(x)
	goOn := s.holdRefill(second)
	s.loseStore(second)
	s.until("it is being filled", filling(second))
	s.until("it is connected", func() bool {
		return first.process.node.Connected([]kv.NodeID{second.ID, third.ID})
	})
	s.Net.Partition([]string{first.Addr, second.Addr, x.name}, s.addrs(first, second))
	_, err := x.bucket.Put(limit(s.t), x.key, []byte("x"), strictW(first, 3*time.Second)...)
	s.loseStore(first)
	s.Net.Heal()
	s.until("the other one is full", serving(first))
	found, failed := x.bucket.Get(limit(s.t), x.key, strictR(first, time.Minute)...)
	must(s.t, failed)
	if err == nil && len(found.Siblings) < 2 {
		s.errorf("a write of two owners was acknowledged, and two owners do not show it")
	}
	goOn()
	s.until("it is full", serving(second))
}

// wipeBesideWrite (TRAPS T8): a write is at two owners, where the one that coordinates it has
// a slow disk, when the other loses its own. The third does not hear of it. What the new store
// copies meanwhile does not have the write, so that the old one's word must not count.
func wipeBesideWrite(s *scene) {
	x := s.person("x")
	first, second, third := s.trio(x)
	s.Net.Cut(first.Addr, third.Addr)
	first.Disk.SetSyncTime(20 * time.Second)
	done := make(chan error, 1)
	go func() {
		_, err := x.bucket.Put(limit(s.t), x.key, []byte("x"), strictW(first, 25*time.Second)...)
		done <- err
	}()
	time.Sleep(time.Second) // the second has it, and has said so
	s.loseStore(second)
	err := <-done
	first.Disk.SetSyncTime(2 * time.Millisecond)
	if err == nil {
		s.until("it is full", serving(second))
		first.LosePower()
	}
	s.Net.Heal()
	found, failed := x.bucket.Get(limit(s.t), x.key, strictR(third, 5*time.Second)...)
	if err == nil && failed == nil && len(found.Siblings) < 2 {
		s.errorf("a write of two owners was acknowledged, and two owners do not show it")
	}
	must(s.t, s.Start(limit(s.t)))
	s.until("it is full", serving(second))
	if err == nil {
		x.demandAt(first, client.All, "before", "x")
	}
}
