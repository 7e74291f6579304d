// SPDX-License-Identifier: Apache-2.0

package real

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/client"
)

// scenario is a cluster whose locks are looked at from outside.
type scenario struct {
	*testing.T
	*Cluster
	client  *client.Client
	session *client.Session
	fence   uint64 // the highest that was seen
}

// TestScenariosOfRealProcesses has one cluster suffer one thing after the other. What the
// simulator plays with disks and power is here done to processes and directories.
func TestScenariosOfRealProcesses(t *testing.T) {
	c, err := Start(t.Context(), build(t), t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	s := &scenario{T: t, Cluster: c}
	t.Cleanup(func() { s.check(c.Close()) })
	if s.client, err = c.Client(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	s.session = s.open()
	kept := s.lock(s.session, "kept")
	_, err = s.client.Bucket("default").Put(t.Context(), []byte("key"), []byte("value"))
	s.check(err)
	for _, step := range []struct {
		name string
		do   func(*scenario)
	}{
		{"a move", aMove}, {"a paused leader", aPausedLeader}, {"all are killed", allAreKilled},
		{"an older directory", anOlderDirectory}, {"a wiped directory", aWipedDirectory},
	} {
		ok := t.Run(step.name, func(t *testing.T) {
			now := *s
			now.T = t
			step.do(&now)
			s.fence = now.fence
			now.holds("kept", kept)
			now.reads("key", "value")
			if err := s.session.Err(); err != nil {
				t.Errorf("the session of a client that was there all the time: %v", err)
			}
		})
		if !ok {
			for i := range c.Nodes() {
				s.tail(i)
			}
			return
		}
	}
	s.check(kept.Unlock(t.Context()))
}

// aMove is that of a node which is killed and started elsewhere: the others ask it there as soon
// as the group has confirmed it, and do not wait for its old address to be given up.
func aMove(s *scenario) {
	const at, within = 2, 6 * time.Second
	s.check(s.Kill(at))
	s.check(s.Move(at))
	s.check(s.Ready(s.Context(), at))
	ctx, cancel := context.WithTimeout(s.Context(), within)
	defer cancel()
	for _, through := range s.Addresses() {
		s.check(s.await(ctx, func(ctx context.Context) string {
			_, err := s.client.Bucket("default").Get(ctx, []byte("key"), client.WithTimeout(soon),
				client.WithR(client.All), client.WithEndpoint(through))
			if err != nil {
				return through + ": " + err.Error()
			}
			return ""
		}))
	}
}

// aPausedLeader is paused for longer than an election takes, and goes on as what it was:
// whoever waits for a lock gets it from its successor, and the old holder keeps its own.
func aPausedLeader(s *scenario) {
	leader, err := s.lead(s.Context())
	s.check(err)
	other := s.open()
	first := s.lock(s.session, "handed over")
	granted := make(chan *client.Held, 1)
	go func() {
		held, err := other.Mutex("handed over").Lock(s.Context())
		if err != nil {
			s.Error(err)
		}
		granted <- held
	}()
	s.check(s.Pause(leader))
	rest(s.Context(), longestPause/2)
	s.alone(granted)
	s.check(s.Resume(leader))
	rest(s.Context(), time.Second)
	s.alone(granted) // also while the old leader may take itself for one
	s.check(first.Unlock(s.Context()))
	select {
	case held := <-granted:
		s.rises(held)
		s.check(held.Unlock(s.Context()))
	case <-time.After(settleTime):
		s.Fatal("nobody was granted the lock that was given back")
	}
	s.check(s.Ready(s.Context(), s.all()...))
}

// alone fails where somebody was granted a lock that is held.
func (s *scenario) alone(granted <-chan *client.Held) {
	s.Helper()
	select {
	case held := <-granted:
		s.Fatalf("a second holder, with %+v, beside the first", held)
	default:
	}
}

// allAreKilled at once, and started again.
func allAreKilled(s *scenario) {
	for _, i := range s.all() {
		s.check(s.Kill(i))
	}
	for _, i := range s.all() {
		s.check(s.Restart(i))
	}
	s.check(s.settle(s.Context()))
}

// anOlderDirectory is put in the place of a voter's: its store stays not ready, for one
// reason, and its seat gets a new raft id.
func anOlderDirectory(s *scenario) {
	const at = 2
	s.check(s.Stop(at))
	s.check(s.Save(at))
	s.check(s.Restart(at))
	s.check(s.settle(s.Context()))
	before := s.member(at)
	s.check(s.lock(s.session, "between").Unlock(s.Context()))
	s.check(s.Stop(at))
	s.check(s.Restore(at))
	s.check(s.Restart(at))

	s.check(s.await(s.Context(), func(context.Context) string {
		switch now := s.member(at); {
		case now.Raft == before.Raft || !now.Refused:
			return "the seat is not refused"
		case now.Seat != client.SeatVoter:
			return "the node is a " + string(now.Seat)
		}
		return ""
	}))
	const why = "restored from an older copy"
	if got := s.reason(s.Context(), at); !strings.Contains(got, why) {
		s.Errorf("the store says %q, want %q in it", got, why)
	}
	log, err := os.ReadFile(s.Log(at))
	s.check(err)
	if n := bytes.Count(log, []byte("dyno: not ready: the directory was "+why)); n != 1 {
		s.Errorf("the reason is told %d times to people, want once", n)
	}
}

// aWipedDirectory under a registered name is refused, and the others go on.
func aWipedDirectory(s *scenario) {
	const at = 1
	s.check(s.Stop(at))
	s.check(s.Wipe(at))
	s.check(s.Restart(at))
	code, err := s.nodes[at].wait(settleTime)
	s.check(err)
	if code == 0 {
		s.Error("it ended as if all were well")
	}
	log, err := os.ReadFile(s.Log(at))
	s.check(err)
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, s.Name(at)) ||
		!strings.Contains(last, "has stored data") {
		s.Errorf("its last words: %s", last)
	}
	s.check(s.lock(s.session, "without it").Unlock(s.Context()))
}

func (s *scenario) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// open opens a session, which ends with the test.
func (s *scenario) open() *client.Session {
	s.Helper()
	const ttl = 20 * time.Second
	session, err := s.client.NewSession(s.Context(), client.WithTTL(ttl))
	s.check(err)
	return session
}

// lock takes a lock that nobody has.
func (s *scenario) lock(session *client.Session, name string) *client.Held {
	s.Helper()
	held, err := session.Mutex(name).Lock(s.Context(), client.WithTimeout(settleTime))
	s.check(err)
	s.rises(held)
	return held
}

// rises demands that a grant is newer than all that were seen.
func (s *scenario) rises(held *client.Held) {
	s.Helper()
	if held == nil || held.Fence() <= s.fence {
		s.Fatalf("a grant %+v behind the fence %d", held, s.fence)
	}
	s.fence = held.Fence()
}

// holds demands that a lock is held as it was, and that nobody else can have it.
func (s *scenario) holds(name string, held *client.Held) {
	s.Helper()
	info, err := s.client.Lock(s.Context(), name, client.WithTimeout(settleTime))
	s.check(err)
	if len(info.Holders) != 1 || uint64(info.Holders[0].Fence) != held.Fence() {
		s.Errorf("lock %s has the holders %+v, want the fence %d", name, info.Holders, held.Fence())
	}
	other := s.open()
	if _, err := other.Mutex(name).TryLock(s.Context(), client.WithTimeout(settleTime)); !errors.Is(
		err, client.ErrLocked) {
		s.Errorf("lock %s for another session: %v, want ErrLocked", name, err)
	}
	s.check(other.Close(s.Context()))
}

// reads demands that a key has its value still. Where one store is refused, and another gone,
// one is left to ask.
func (s *scenario) reads(key, value string) {
	s.Helper()
	got, err := s.client.Bucket("default").Get(s.Context(), []byte(key),
		client.WithR(client.Replicas(1)))
	s.check(err)
	if len(got.Siblings) != 1 || string(got.Siblings[0].Value) != value {
		s.Errorf("key %s is %+v, want %s", key, got.Siblings, value)
	}
}

func (s *scenario) member(at int) client.GroupMember {
	s.Helper()
	got, err := s.client.MetaMembers(s.Context(), client.WithTimeout(settleTime))
	s.check(err)
	for _, m := range got.Members {
		if m.Name == s.Name(at) {
			return m
		}
	}
	s.Fatalf("%s is not among %+v", s.Name(at), got.Members)
	return client.GroupMember{}
}

// tail shows the end of what a node said.
func (s *scenario) tail(i int) {
	const most = 3000
	log, err := os.ReadFile(s.Log(i))
	s.Logf("%s said (%v): %s", s.Name(i), err, log[max(0, len(log)-most):])
}
