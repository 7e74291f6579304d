// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

func TestStoreMergesWhateverTheOrder(t *testing.T) {
	none := vclock.Context{}
	a := foreign(1, "a", kv.Object{}, none)
	over := foreign(2, "c", a, a.Context)
	cases := []struct {
		name  string
		order []kv.Object
		want  []string
	}{
		{"the newer last", []kv.Object{a, over}, []string{"c"}},
		{"the newer first", []kv.Object{over, a}, []string{"c"}},
		{"the same twice", []kv.Object{a, a}, []string{"a"}},
		{"nothing at all", []kv.Object{{}, a}, []string{"a"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := fresh(t)
				for _, o := range c.order {
					l.copy("k", o)
				}
				if got := values(l.object("k")); !cmp.Equal(got, c.want) {
					t.Errorf("the key holds %q, want %q", got, c.want)
				}
			})
		})
	}
}

// A copy beside a local sibling needs the sibling's value, which the cache has not.
func TestStoreKeepsLocalSiblingsWithTheirValues(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.put("k", "mine", vclock.Context{})
		l.copy("k", foreign(1, "theirs", kv.Object{}, vclock.Context{}))
		o := l.object("k")
		if got, want := values(o), []string{"mine", "theirs"}; !cmp.Equal(got, want) {
			t.Errorf("the key holds %q", got)
		}
	})
}

func TestStoreRefusals(t *testing.T) {
	object := foreign(1, "x", kv.Object{}, vclock.Context{})
	cases := []struct {
		name   string
		change func(*life, *wire.StoreRequest)
		code   wire.ReplicaCode
	}{
		{"a hint", func(_ *life, r *wire.StoreRequest) { r.Role = kv.RoleFallback },
			wire.ReplicaRefused},
		{"a copy without its values", func(_ *life, r *wire.StoreRequest) {
			r.Object = r.Object.WithoutValues()
		}, wire.ReplicaRefused},
		{"another instance", func(_ *life, r *wire.StoreRequest) { r.Instance-- },
			wire.ReplicaRefused},
		{"a placement that is not known here", func(_ *life, r *wire.StoreRequest) { r.Placement++ },
			wire.ReplicaRefused},
		{"a placement below the promised fence", func(l *life, r *wire.StoreRequest) {
			l.parts[r.Partition].fence.Store(uint64(r.Placement) + 1)
		}, wire.ReplicaRefused},
		{"a partition that the key is not in", func(_ *life, r *wire.StoreRequest) {
			r.Partition = (r.Partition + 1) % partitions
		}, wire.ReplicaRefused},
		{"data read under an older purge epoch", func(l *life, r *wire.StoreRequest) {
			l.purgedTo(r.Partition, 3)
			r.Epoch = 2
		}, wire.ReplicaStaleEpoch},
		{"a client's write below the fence of the key", func(l *life, r *wire.StoreRequest) {
			l.copy("k", foreign(9, "newer", kv.Object{Fence: 8}, vclock.Context{}))
		}, wire.ReplicaFenced},
		{"expired", func(*life, *wire.StoreRequest) {}, wire.ReplicaExpired},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := fresh(t)
				req := l.copying("k", object)
				c.change(l, req)
				r := StoreRequest{StoreRequest: req}
				if c.code == wire.ReplicaExpired {
					r.Deadline = time.Now().Add(-time.Second)
				}
				done := make(chan wire.StoreReply, 1)
				r.Done = func(a wire.StoreReply) { done <- a }
				l.Store(r)
				a := <-done
				if a.Code != c.code || a.Detail == "" {
					t.Errorf("code %d, %q, want %d", a.Code, a.Detail, c.code)
				}
				if a.Instance != instance {
					t.Errorf("the refusal states instance %d", a.Instance)
				}
				for p := range l.parts {
					l.parts[p].fence.Store(0)
				}
				if _, found := l.object("k").Find(object.Versions[0].Dot); found {
					t.Error("the refused copy was stored")
				}
			})
		})
	}
}

// Owners take any placement that they know (T21): who accepts an older request is a full
// member of the present layout.
func TestOwnersServeOlderPlacementsThatTheyDidNotFence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		req := l.copying("k", foreign(1, "x", kv.Object{}, vclock.Context{}))
		req.Placement--
		r := l.merge(req)
		if r.Code != wire.ReplicaOK || r.Placement != 5 || r.Role != kv.RoleOwner {
			t.Errorf("%+v", r)
		}
	})
}

// A copy that is still being filled takes writes: they are half of what completes its slot
// (TRAPS 5.4).
func TestCopiesThatAreBeingFilledTakeWrites(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.ring.Store(moving(t, l, kv.Slot{Owner: 9, Next: self, Phase: kv.PhaseWriteBothReadOld}))
		l.copy("k", foreign(1, "x", kv.Object{}, vclock.Context{}))
	})
}

// The check of placement and instance runs under the shard, together with the apply:
// what became true while the copy waited for its turn counts (TRAPS T4).
func TestStoreChecksAgainWhenItsTurnComes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		block := make(chan struct{})
		partition := l.target("k").Partition
		if err := l.store.Visit(partition, func(error) { <-block }); err != nil {
			t.Fatal(err)
		}
		stored, minted := make(chan wire.StoreReply, 1), make(chan MintReply, 1)
		l.Store(StoreRequest{
			StoreRequest: l.copying("k", foreign(1, "x", kv.Object{}, vclock.Context{})),
			Done:         func(r wire.StoreReply) { stored <- r },
		})
		req := l.putting("k", "v", vclock.Context{})
		req.Done = func(m MintReply) { minted <- m }
		l.Mint(req)
		l.parts[partition].fence.Store(6)
		close(block)
		if r := <-stored; r.Code != wire.ReplicaRefused {
			t.Errorf("store: code %d", r.Code)
		}
		if m := <-minted; m.Code != wire.ReplicaRefused || !m.Dot.IsZero() {
			t.Errorf("mint: code %d, dot %s", m.Code, m.Dot)
		}
		l.parts[partition].fence.Store(0)
		if o := l.object("k"); !o.IsZero() {
			t.Errorf("behind the fence the key got %q", values(o))
		}
	})
}

func TestOneDotWithTwoContentsIsAlarmed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.copy("k", foreign(1, "x", kv.Object{}, vclock.Context{}))
		l.copy("k", foreign(1, "y", kv.Object{}, vclock.Context{}))
		if l.Collisions() != 1 {
			t.Errorf("%d collisions", l.Collisions())
		}
	})
}

// Merging never refuses for size or siblings: only client writes do (I6).
func TestMergesAreNeverTooLarge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		var many kv.Object
		for i := range uint64(kv.MaxVersions) {
			many = foreign(i+1, "v", many, vclock.Context{})
		}
		l.copy("k", many)
		l.put("other", "warm up", vclock.Context{})
		mine := l.mint(l.putting("k", "over", many.Context))
		if mine.Code != wire.ReplicaOK {
			t.Fatalf("a write that covers all siblings was refused: %s", mine.Detail)
		}
		var more kv.Object
		for i := range uint64(kv.MaxVersions) {
			more = foreign(1000+i, "w", more, vclock.Context{})
		}
		l.copy("k", more)
		if got := len(l.object("k").Versions); got != kv.MaxVersions+1 {
			t.Errorf("%d versions after the merge", got)
		}
	})
}
