// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

func TestMintStoresOverWhatTheWriterSawAndBesideTheRest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		first := l.put("k", "a", vclock.Context{})
		blind := l.put("k", "b", vclock.Context{})
		if got, want := values(blind.Object), []string{"a", "b"}; !cmp.Equal(got, want) {
			t.Errorf("after a blind put %q, want %q", got, want)
		}
		last := l.put("k", "c", first.Object.Context)
		if got, want := values(last.Object), []string{"b", "c"}; !cmp.Equal(got, want) {
			t.Errorf("after a put with the first's context %q, want %q", got, want)
		}
		if diff := cmp.Diff(values(last.Object), values(l.object("k"))); diff != "" {
			t.Errorf("the reply is not what is stored:\n%s", diff)
		}
		decoded, err := wire.DecodeObject(last.Encoded)
		if err != nil || decoded.Digest() != last.Object.Digest() {
			t.Errorf("Encoded is not the object's encoding: %v", err)
		}
	})
}

// Minted comes before the commit is durable, Done after it: that is what lets the sends
// run beside the local commit.
func TestMintedComesBeforeTheCommitAndDoneAfter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.engine.SetSyncTime(50 * time.Millisecond)
		req := l.putting("k", "v", vclock.Context{})
		var minted, done time.Duration
		var early kv.Object
		began, ended := time.Now(), make(chan MintReply, 1)
		req.Minted = func(m MintReply) {
			minted = time.Since(began)
			if m.Dot.IsZero() || m.Code != wire.ReplicaOK || !m.Object.HasValues() {
				t.Errorf("minted: %+v", m)
			}
		}
		req.Done = func(m MintReply) { done = time.Since(began); ended <- m }
		l.Mint(req)
		synctest.Wait()
		early = l.object("k")
		m := <-ended
		if minted != 0 || done != 50*time.Millisecond {
			t.Errorf("minted after %v, done after %v", minted, done)
		}
		if !early.IsZero() {
			t.Error("the write could be read before it was durable")
		}
		if _, found := l.object("k").Find(m.Dot); !found {
			t.Error("the write is not readable after Done")
		}
	})
}

func TestMintRefusals(t *testing.T) {
	cases := []struct {
		name string
		req  func(*life) *MintRequest
		code wire.ReplicaCode
		err  error
	}{
		{"not an owner", func(l *life) *MintRequest {
			l.ring.Store(changed(t, l.ring.Load(), func(s *ring.State) {
				for p := range s.Placements {
					s.Placements[p] = ring.Placement{Version: 6, Slots: []kv.Slot{kv.Stable(2)}}
				}
				s.Replicas = 1
			}))
			return l.putting("k", "v", vclock.Context{})
		}, wire.ReplicaRefused, ErrMayNotMint},
		{"a copy that is still being filled", func(l *life) *MintRequest {
			l.ring.Store(moving(t, l, kv.Slot{Owner: 9, Next: self, Phase: kv.PhaseWriteBothReadOld}))
			return l.putting("k", "v", vclock.Context{})
		}, wire.ReplicaRefused, ErrMayNotMint},
		{"a copy that is leaving, once reads have moved on", func(l *life) *MintRequest {
			l.ring.Store(moving(t, l, kv.Slot{Owner: self, Next: 9, Phase: kv.PhaseWriteBothReadNew}))
			return l.putting("k", "v", vclock.Context{})
		}, wire.ReplicaRefused, ErrMayNotMint},
		{"another instance", func(l *life) *MintRequest {
			req := l.putting("k", "v", vclock.Context{})
			req.Instance++
			return req
		}, wire.ReplicaRefused, ErrMayNotMint},
		{"a placement that this node does not know", func(l *life) *MintRequest {
			req := l.putting("k", "v", vclock.Context{})
			req.Placement++
			return req
		}, wire.ReplicaRefused, ErrMayNotMint},
		{"a partition that the key is not in", func(l *life) *MintRequest {
			req := l.putting("k", "v", vclock.Context{})
			req.Partition = (req.Partition + 1) % partitions
			return req
		}, wire.ReplicaRefused, ErrMayNotMint},
		{"a partition that does not exist", func(l *life) *MintRequest {
			req := l.putting("k", "v", vclock.Context{})
			req.Partition = 4000
			return req
		}, wire.ReplicaRefused, ErrMayNotMint},
		{"a fence below the object's", func(l *life) *MintRequest {
			l.copy("k", foreign(1, "x", kv.Object{Fence: 5}, vclock.Context{}))
			req := l.putting("k", "v", vclock.Context{})
			req.Fence = 4
			return req
		}, wire.ReplicaRefused, kv.ErrFenced},
		{"too many siblings", func(l *life) *MintRequest {
			for i := range kv.MaxVersions {
				l.put("k", fmt.Sprint(i), vclock.Context{})
			}
			return l.putting("k", "v", vclock.Context{})
		}, wire.ReplicaRefused, kv.ErrTooManySiblings},
		{"expired before its turn", func(l *life) *MintRequest {
			req := l.putting("k", "v", vclock.Context{})
			req.Deadline = time.Now().Add(-time.Millisecond)
			return req
		}, wire.ReplicaExpired, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := fresh(t)
				req := c.req(l)
				req.Minted = func(MintReply) { t.Error("a refused write got a dot") }
				m := l.mint(req)
				if m.Code != c.code || !errors.Is(m.Err, c.err) || m.Detail == "" {
					t.Errorf("code %d, error %v, detail %q", m.Code, m.Err, m.Detail)
				}
				l.ring.Store(newRing(t))
				for _, v := range l.object("k").Versions {
					if string(v.Value) == "v" {
						t.Error("a refused write was stored")
					}
				}
			})
		})
	}
}

// moving is the ring in which the key's slots are one in motion and two others.
func moving(t testing.TB, l *life, slot kv.Slot) *ring.Ring {
	t.Helper()
	return changed(t, l.ring.Load(), func(s *ring.State) {
		s.Members = append(s.Members, ring.Member{
			ID: 9, Name: "n9", Weight: 1, Instance: 9, Client: "h9:1", Peer: "h9:2", Gossip: "h9:3",
		})
		for p := range s.Placements {
			s.Placements[p] = ring.Placement{
				Version: 6, Slots: []kv.Slot{slot, kv.Stable(2), kv.Stable(3)},
			}
		}
	})
}

// The deadline is looked at when the turn comes: a write that waited too long for it
// certainly left nothing, and its counter was not used.
func TestWritesThatExpireWhileTheyWaitLeaveNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		first := l.put("k", "a", vclock.Context{})
		block := make(chan struct{})
		if err := l.store.Visit(l.target("k").Partition, func(error) { <-block }); err != nil {
			t.Fatal(err)
		}
		req := l.putting("k", "late", vclock.Context{})
		req.Deadline = time.Now().Add(time.Second)
		done := make(chan MintReply, 1)
		req.Done = func(m MintReply) { done <- m }
		l.Mint(req)
		time.Sleep(2 * time.Second)
		close(block)
		if m := <-done; m.Code != wire.ReplicaExpired {
			t.Errorf("code %d, %s", m.Code, m.Detail)
		}
		next := l.put("k", "b", first.Object.Context)
		if next.Dot.Counter != first.Dot.Counter+1 {
			t.Errorf("dot %s after %s: the expired write used a counter", next.Dot, first.Dot)
		}
		if got, want := values(l.object("k")), []string{"b"}; !cmp.Equal(got, want) {
			t.Errorf("the key holds %q", got)
		}
	})
}

// A put needs the values of siblings that it keeps; they are not in the version cache.
func TestMintLoadsTheValuesOfSiblingsThatItKeeps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		calls := 0
		l.put("k", "a", vclock.Context{})
		req := l.putting("k", "b", vclock.Context{})
		req.Minted = func(m MintReply) {
			calls++
			if !m.Object.HasValues() {
				t.Error("the sends would go out without values")
			}
		}
		l.mint(req)
		if calls != 1 {
			t.Errorf("Minted was called %d times", calls)
		}
		if got, want := values(l.object("k")), []string{"a", "b"}; !cmp.Equal(got, want) {
			t.Errorf("the key holds %q", got)
		}
	})
}

// Standing of a copy that this node gave up between apply and answer: the write is
// stored and must not count (TRAPS T4).
func TestAnswersAreCheckedAgainBeforeTheyLeave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.engine.SetSyncTime(50 * time.Millisecond)
		minted, stored := make(chan MintReply, 1), make(chan wire.StoreReply, 1)
		req := l.putting("k", "v", vclock.Context{})
		req.Done = func(m MintReply) { minted <- m }
		l.Mint(req)
		l.Store(StoreRequest{
			StoreRequest: l.copying("k", foreign(1, "x", kv.Object{}, vclock.Context{})),
			Done:         func(r wire.StoreReply) { stored <- r },
		})
		synctest.Wait()
		l.parts[req.Partition].fence.Store(6)
		m, s := <-minted, <-stored
		if m.Code != wire.ReplicaFailed || s.Code != wire.ReplicaFailed {
			t.Errorf("after the fence: mint %d %q, store %d %q", m.Code, m.Detail, s.Code, s.Detail)
		}
		if r := l.read("k"); r.Code != wire.ReplicaRefused {
			t.Errorf("after the fence a read of the old placement has code %d", r.Code)
		}
	})
}

func TestStoresErrorsInTheWordsOfThePeerProtocol(t *testing.T) {
	cases := map[wire.ReplicaCode][]error{
		wire.ReplicaOverloaded:   {storage.ErrOverloaded, storage.ErrDiskFull},
		wire.ReplicaExpired:      {storage.ErrExpired},
		wire.ReplicaShuttingDown: {storage.ErrClosed},
		wire.ReplicaRefused:      {storage.ErrTooBig, storage.ErrIncomplete},
		wire.ReplicaFailed:       {storage.ErrFailed, errors.New("anything else")},
	}
	for want, list := range cases {
		for _, err := range list {
			if got, detail := codeOf(fmt.Errorf("wrapped: %w", err)); got != want || detail == "" {
				t.Errorf("%v is code %d, want %d", err, got, want)
			}
		}
	}
}
