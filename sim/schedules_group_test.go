// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/client"
)

// What follows is played on three nodes that run their metadata group: each has a seat, and
// all but one lead or follow.

// holder is a client with a session that locks, once for each request.
type holder struct {
	s       *scene
	client  *client.Client
	session *client.Session
}

// holder opens a session; with opts all that it asks may go to one node.
func (s *scene) holder(name string, opts ...client.Option) *holder {
	s.t.Helper()
	cl, err := s.Client(name, nil)
	must(s.t, err)
	s.t.Cleanup(cl.Close)
	session, err := cl.NewSession(limit(s.t), opts...)
	must(s.t, err)
	return &holder{s, cl, session}
}

func (h *holder) lock(name string) *client.Held {
	h.s.t.Helper()
	held, err := h.session.Mutex(name).Lock(limit(h.s.t))
	must(h.s.t, err)
	return held
}

// shown is the fence that a read of a lock shows, 0 where it shows none; false where the
// read fails.
func (h *holder) shown(name string, opts ...client.Option) (uint64, bool) {
	info, err := h.client.Lock(limit(h.s.t), name, append(opts, client.WithTimeout(2*time.Second))...)
	switch {
	case err != nil:
		return 0, false
	case len(info.Holders) == 0:
		return 0, true
	default:
		return uint64(info.Holders[0].Fence), true
	}
}

// leader is whoever leads, and the two others.
func (s *scene) leader() (leader *Host, others []*Host) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); leader == nil && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		leader = s.Leader()
	}
	if leader == nil {
		s.t.Fatal("nobody leads")
	}
	for _, h := range s.Hosts {
		if h != leader {
			others = append(others, h)
		}
	}
	return leader, others
}

const long = time.Hour // the time to live of a session that nobody renews in time

// leaderDies: a session is alive, and goes on to be, when a leader dies: the next one can
// not know when it was renewed, and gives it its whole time again.
func leaderDies(s *scene) {
	x := s.holder("x", client.WithTTL(10*time.Second))
	held := x.lock("k")
	time.Sleep(6 * time.Second) // it has been renewed by now, which only the leader knows
	leader, _ := s.leader()
	must(s.t, leader.Kill())
	time.Sleep(4 * time.Second)
	if err := x.session.Err(); err != nil {
		s.errorf("the session was lost with the leader: %v", err)
	}
	if err := held.Unlock(limit(s.t)); err != nil {
		s.errorf("the lock was lost with the leader: %v", err)
	}
}

// fencesGoOn: what comes after a snapshot has been restored has a higher fence than all
// before it.
func fencesGoOn(s *scene) {
	x := s.holder("x", client.WithTTL(long))
	last := uint64(0)
	for range 3 {
		for range 40 { // more entries than a snapshot waits for
			held := x.lock("k")
			if held.Fence() <= last {
				s.errorf("fence %d was granted after fence %d", held.Fence(), last)
			}
			last = held.Fence()
			must(s.t, held.Unlock(limit(s.t)))
		}
		for _, h := range s.Hosts {
			h.LosePower()
		}
		must(s.t, s.Start(limit(s.t)))
	}
}

// minorityLeader: a leader is cut off from the other hosts, and not from clients. It must
// neither keep sessions alive that the others end, nor show what was before.
func minorityLeader(s *scene) {
	leader, others := s.leader()
	x := s.holder("x", client.WithTTL(5*time.Second), client.WithEndpoint(leader.Member.Client))
	y := s.holder("y", client.WithTTL(long), client.WithEndpoint(others[0].Member.Client))
	old := x.lock("k")
	s.Net.Partition([]string{leader.Addr}, []string{others[0].Addr, others[1].Addr})
	held := y.lock("k") // once the others have ended the session of x
	if x.session.Err() == nil {
		s.errorf("two have a lock: fence %d and fence %d", old.Fence(), held.Fence())
	}
	if fence, ok := y.shown("k", client.WithEndpoint(leader.Member.Client)); ok &&
		fence != held.Fence() {
		s.errorf("a read of the lock shows fence %d, and fence %d was granted before", fence,
			held.Fence())
	}
	s.Net.Heal()
}

// restoredVoter: of three voters one has a lock, which the second does not know, and the
// third, an older copy of itself, does not know any more. The two must not go on without the
// first.
func restoredVoter(s *scene) {
	_, followers := s.leader()
	third := followers[1]
	before := third.Disk.Copy()
	for range 2 { // openings that the second has heard of
		must(s.t, third.Kill())
		must(s.t, s.Start(limit(s.t)))
	}
	first, others := s.leader()
	if first == third { // it leads no more once it has been away
		must(s.t, third.Kill())
		must(s.t, s.Start(limit(s.t)))
		first, others = s.leader()
	}
	second := others[(slices.Index(others, third)+1)%2]
	x := s.holder("x", client.WithTTL(long))
	s.Net.Partition([]string{second.Addr}, []string{first.Addr, third.Addr})
	held := x.lock("k")
	first.LosePower()
	third.LosePower()
	must(s.t, third.Disk.Restore(before))
	s.Net.Heal()
	must(s.t, third.Start(limit(s.t)))
	time.Sleep(20 * time.Second)
	reader := s.reader("reader")
	if fence, ok := reader.shown("k"); ok && fence != held.Fence() {
		s.errorf("fence %d was granted, and a read shows %d", held.Fence(), fence)
	}
	must(s.t, first.Start(limit(s.t)))
	time.Sleep(20 * time.Second)
	if fence, ok := reader.shown("k"); !ok || fence != held.Fence() {
		s.errorf("fence %d was granted, and in the end a read shows %d: %t", held.Fence(), fence, ok)
	}
}

// reader is a client without a session.
func (s *scene) reader(name string) *holder {
	s.t.Helper()
	cl, err := s.Client(name, nil)
	must(s.t, err)
	s.t.Cleanup(cl.Close)
	return &holder{s: s, client: cl}
}

// entryBeforePowerLoss: the followers' disks are slow, and both lose their power right after
// a lock was granted. One of them must have it.
func entryBeforePowerLoss(s *scene) {
	for i := range 6 { // a commit under way may survive
		name := fmt.Sprint("lock ", i)
		leader, others := s.leader()
		x := s.holder(fmt.Sprint("x", i), client.WithTTL(long))
		for _, h := range others {
			h.Disk.SetSyncTime(2 * time.Second)
		}
		ctx, cancel := context.WithTimeout(limit(s.t), 30*time.Second)
		held, err := x.session.Mutex("k" + string(rune('0'+i))).Lock(ctx)
		cancel()
		for _, h := range s.Hosts {
			h.LosePower()
			h.Disk.SetSyncTime(2 * time.Millisecond)
		}
		for _, h := range others {
			must(s.t, h.Start(limit(s.t)))
		}
		s.leader() // of the two
		if fence, ok := s.reader(fmt.Sprint("reader", i)).shown(name); err == nil && ok &&
			fence != held.Fence() {
			s.errorf("fence %d was granted, and a read shows %d", held.Fence(), fence)
		}
		must(s.t, leader.Start(limit(s.t)))
		must(s.t, s.AwaitReady(limit(s.t)))
	}
}
