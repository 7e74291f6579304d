// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// A damaged record, and a read that fails, are unreadable: never not-found, never minted
// over, and the incarnation ends.
func TestTrapC2UnreadableIsNeverTakenForAbsent(t *testing.T) {
	spoil := map[string]func(*life){
		"damaged record": func(l *life) { l.damage("k") },
		"read error":     func(l *life) { l.engine.FailRead(1, errors.New("bad sector")) },
	}
	do := map[string]func(*life) wire.ReplicaCode{
		"mint": func(l *life) wire.ReplicaCode {
			return l.mint(l.putting("k", "v", vclock.Context{})).Code
		},
		"store": func(l *life) wire.ReplicaCode {
			return l.merge(l.copying("k", foreign(1, "x", kv.Object{}, vclock.Context{}))).Code
		},
		"read": func(l *life) wire.ReplicaCode { return l.read("k").Code },
		"digest": func(l *life) wire.ReplicaCode {
			return l.Read(&wire.ReadRequest{Target: l.target("k"), Mode: wire.ReadBare}).Code
		},
		"scan": func(l *life) wire.ReplicaCode {
			all := l.target("k")
			all.Key = nil
			r := l.Scan(&wire.ScanRequest{Target: all, Limit: 10, Bytes: 1000})
			if len(r.Entries) > 0 {
				l.t.Errorf("an unreadable page shows %d keys", len(r.Entries))
			}
			return r.Code
		},
	}
	for how, spoil := range spoil {
		for what, do := range do {
			t.Run(what+" of a "+how, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					first := fresh(t)
					first.put("k", "v", vclock.Context{})
					s := first.stopped() // the next life has nothing in its cache
					s.verdict = kv.VerdictConfirmed
					l := begin(t, s)
					spoil(l)
					failed := what == "scan" && how == "read error" // the whole scan is to be repeated
					if code := do(l); code != wire.ReplicaUnreadable && !failed {
						t.Errorf("code %d", code)
					} else if failed && code != wire.ReplicaFailed {
						t.Errorf("a scan that could not read: code %d", code)
					}
					if !failed && l.Unreadable() == 0 {
						t.Error("nobody counted it")
					}
				})
			})
		}
	}
}

func TestTrapC2AnUnreadableRecordEndsTheIncarnation(t *testing.T) {
	for _, what := range []string{"mint", "store"} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				first := fresh(t)
				first.put("k", "v", vclock.Context{})
				var neighbour string // another key of the same partition
				for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
					if first.target(name).Partition == first.target("k").Partition {
						neighbour = name
					}
				}
				s := first.stopped()
				s.verdict = kv.VerdictConfirmed
				l := begin(t, s)
				before := l.put(neighbour, "1", vclock.Context{}).Dot
				l.damage("k")
				if what == "mint" {
					l.mint(l.putting("k", "w", vclock.Context{}))
				} else {
					l.merge(l.copying("k", foreign(1, "x", kv.Object{}, vclock.Context{})))
				}
				if after := l.put(neighbour, "2", vclock.Context{}).Dot; after.Actor == before.Actor {
					t.Errorf("after the unreadable record the incarnation goes on: %s", after)
				}
			})
		})
	}
}

// Amnesia is noticed on a replicated write: somebody holds dots of the present
// incarnation that this store has not issued.
func TestTrapC3OwnDotsFromTheFutureEndTheIncarnation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		first := l.put("k", "1", vclock.Context{})
		future := first.Dot
		future.Counter += 5
		v := kv.Version{Dot: future, Kind: kv.KindValue, Value: []byte("lost")}.Sealed()
		l.copy("k", kv.Object{Context: vclock.ContextOf(first.Dot, future), Versions: []kv.Version{v}})
		if l.Rollbacks() != 1 {
			t.Errorf("%d rollbacks were counted", l.Rollbacks())
		}
		next := l.put("k", "2", vclock.Context{})
		if next.Dot.Actor == first.Dot.Actor {
			t.Errorf("the rolled-back incarnation issued %s", next.Dot)
		}
		if got, want := values(l.object("k")), []string{"2", "lost"}; !cmp.Equal(got, want) {
			t.Errorf("the key holds %q, want %q", got, want)
		}
		// The ended incarnation is not judged any more.
		l.copy("k", kv.Object{Context: vclock.ContextOf(vclock.Dot{Actor: future.Actor, Counter: 99})})
		if l.Rollbacks() != 1 {
			t.Error("an ended incarnation was judged")
		}
	})
}

// The same where the mark of a clean stop is older than the data: the mark ends.
func TestTrapC3DotsBeyondACleanMarkEndIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first := fresh(t)
		o := first.put("k", "1", vclock.Context{}).Object
		dot := first.put("k", "2", o.Context).Dot
		s := first.stopped()
		s.past.Marks[0].Counter = dot.Counter - 1 // the control records of an older copy
		s.verdict = kv.VerdictConfirmed
		l := begin(t, s)
		next := l.put("k", "3", vclock.Context{})
		if next.Dot.Actor == dot.Actor || l.Rollbacks() != 1 {
			t.Errorf("dot %s after %s, %d rollbacks", next.Dot, dot, l.Rollbacks())
		}
		if got, want := values(l.object("k")), []string{"2", "3"}; !cmp.Equal(got, want) {
			t.Errorf("the key holds %q, want %q", got, want)
		}
	})
}

// A directory restored from a copy restores the counter as well: the group refuses it by
// its opens; and where the group can not be asked, it mints under a new incarnation.
func TestTrapC4RestoredDirectoriesNeverRepeatDots(t *testing.T) {
	bubble(t, func(t *testing.T) {
		seen := dots{}
		first := fresh(t)
		seen.see(t, first.put("k", "1", vclock.Context{}).Object)
		backup := first.stopped()
		original := backup
		original.engine = first.engine.Crash(nil) // a second, independent copy
		original.verdict = kv.VerdictConfirmed
		l := begin(t, original)
		for _, value := range []string{"2", "3", "4"} {
			seen.see(t, l.put("k", value, vclock.Context{}).Object)
		}
		l.stopped()

		open1, open2, open3 := kv.Open{Seq: 1, Nonce: 1}, kv.Open{Seq: 2, Nonce: 2},
			kv.Open{Seq: 2, Nonce: 3}
		if v := kv.JudgeOpens(open2, []kv.Open{open1, open3}); v != kv.VerdictForked {
			t.Fatalf("the group says %v of a restored directory", v)
		}
		backup.verdict = kv.VerdictUnknown
		restored := begin(t, backup)
		for _, value := range []string{"x", "y", "z"} {
			m := restored.put("k", value, vclock.Context{})
			seen.see(t, m.Object)
			if m.Confirmed {
				t.Error("a restored store counts for pr and pw")
			}
		}
		restored.Confirm(kv.VerdictForked)
		if m := restored.mint(restored.putting("k", "v", vclock.Context{})); m.Code == wire.ReplicaOK {
			t.Error("a forked store mints")
		}
	})
}

// A context that a reader got elsewhere is no forgery for a store that was restored and
// does not know better: it is judged by what the store may still issue.
func TestTrapC4UnconfirmedStoresDoNotJudgeByTheirMarks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first := fresh(t)
		dot := first.put("k", "1", vclock.Context{}).Dot
		s := first.stopped()
		s.verdict = kv.VerdictUnknown
		l := begin(t, s)
		later := vclock.ContextOf(dot, vclock.Dot{Actor: dot.Actor, Counter: dot.Counter + 7})
		if m := l.mint(l.putting("k", "2", later)); m.Code != wire.ReplicaOK {
			t.Errorf("code %d, %s", m.Code, m.Detail)
		}
	})
}

// A lost disk under a kept counter: blind writes afterwards must not claim the lost ones.
func TestTrapC5ANewIncarnationClaimsNothingOfTheLostOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first := fresh(t)
		lost := first.put("k", "1", vclock.Context{}).Object // acknowledged by the others
		first.crashed(nil)
		l := begin(t, setup{past: Past{Stop: StopPowerLoss}, verdict: kv.VerdictConfirmed})
		l.put("k", "2", vclock.Context{})
		l.copy("k", lost)
		if got, want := values(l.object("k")), []string{"1", "2"}; !cmp.Equal(got, want) {
			t.Errorf("the key holds %q, want %q", got, want)
		}
	})
}

// A dot whose object was not stored is a dot that the store lacks: its incarnation ends.
func TestTrapC5ADotThatCouldNotBeStoredEndsTheIncarnation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		first := l.put("k", "1", vclock.Context{})
		l.engine.SetLimits(storage.Limits{Bytes: 8 << 20, Count: 1000, Value: 400})
		req := l.putting("k", string(make([]byte, 1000)), first.Object.Context)
		req.Request = kv.RequestID{1}
		var sent MintReply
		req.Minted = func(m MintReply) { sent = m }
		if m := l.mint(req); m.Code != wire.ReplicaRefused || sent.Dot.IsZero() {
			t.Fatalf("code %d, sent %s", m.Code, sent.Dot)
		}
		if actors, _ := l.CleanActors(); len(actors) != 0 {
			t.Errorf("a clean stop would keep %v", actors)
		}
		retry := l.putting("k", "small", first.Object.Context)
		retry.Request = req.Request
		m := l.mint(retry)
		if m.Code != wire.ReplicaOK || m.Repeat {
			t.Fatalf("a retry was answered with a dot that is not stored: %+v", m)
		}
		if m.Dot.Actor == first.Dot.Actor {
			t.Errorf("the incarnation goes on: %s", m.Dot)
		}
		l.engine.SetLimits(storage.NewMemory().Limits())
		l.copy("k", sent.Object) // comes back from another owner
		if got := len(l.object("k").Versions); got != 1 {
			t.Errorf("%d versions of one request", got)
		}
	})
}

// Power loss takes what was not synced, and nothing of that was acknowledged.
func TestTrapC6PowerLossDuringACommit(t *testing.T) {
	for seed := range uint64(8) {
		bubble(t, func(t *testing.T) {
			seen := dots{}
			first := fresh(t)
			acked := first.put("k", "1", vclock.Context{})
			seen.see(t, acked.Object)
			first.engine.SetSyncTime(time.Second)
			req := first.putting("k", "2", acked.Object.Context)
			req.Minted = func(m MintReply) { seen.see(t, m.Object) }
			answered := false
			req.Done = func(m MintReply) { answered = m.Code == wire.ReplicaOK }
			first.Mint(req)
			time.Sleep(100 * time.Millisecond)
			s := first.crashed(rand.New(rand.NewPCG(seed, 1)))
			if answered {
				t.Fatal("acknowledged before the sync")
			}
			s.verdict = kv.VerdictConfirmed
			l := begin(t, s)
			if o := l.object("k"); !o.Context.Contains(acked.Dot) {
				t.Errorf("the acknowledged write is lost: %v", o.Context)
			}
			seen.see(t, l.put("k", "3", vclock.Context{}).Object)
		})
	}
}

func TestTrapC8ForgedContextsAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		dot := l.put("k", "1", vclock.Context{}).Dot
		forged := vclock.VectorOf(vclock.Dot{Actor: dot.Actor, Counter: dot.Counter + 900})
		m := l.mint(l.putting("k", "2", forged))
		if m.Code != wire.ReplicaRefused || !errors.Is(m.Err, ErrContext) {
			t.Errorf("code %d, %v", m.Code, m.Err)
		}
		if next := l.put("k", "3", vclock.Context{}); next.Dot.Actor != dot.Actor {
			t.Error("a forged context ended the incarnation")
		}
		foreign := vclock.VectorOf(vclock.Dot{Actor: 2<<48 | 5, Counter: 900})
		l.put("k", "4", foreign) // of others nothing is known
	})
}

func TestTrapC8ForgedContextsAreRefusedAfterACleanStopToo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first := fresh(t)
		dot := first.put("k", "1", vclock.Context{}).Dot
		s := first.stopped()
		s.verdict = kv.VerdictConfirmed
		l := begin(t, s)
		forged := vclock.VectorOf(vclock.Dot{Actor: dot.Actor, Counter: dot.Counter + 1})
		if m := l.mint(l.putting("k", "2", forged)); !errors.Is(m.Err, ErrContext) {
			t.Errorf("code %d, %v", m.Code, m.Err)
		}
	})
}

// A deletion leaves a context that a new write must build on, and a value beside a
// tombstone stays.
func TestTrapC13DeleteAndCreateAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		first := l.put("k", "1", vclock.Context{})
		req := l.putting("k", "", first.Object.Context)
		req.Kind, req.Value = kv.KindTombstone, nil
		deleted := l.mint(req)
		if o := l.object("k"); len(o.Live(0)) != 0 || o.IsZero() || !o.Context.Contains(deleted.Dot) {
			t.Errorf("after the delete: %+v", o)
		}
		beside := l.put("k", "2", vclock.Context{}) // had not seen the tombstone
		if got := len(beside.Object.Versions); got != 2 {
			t.Errorf("%d versions: value and tombstone are concurrent, both stay", got)
		}
		if got := l.object("k").Live(0); len(got) != 1 || string(got[0].Value) != "2" {
			t.Errorf("readers see %v", got)
		}
		after := l.put("k", "3", l.object("k").Context)
		if got := len(after.Object.Versions); got != 1 {
			t.Errorf("%d versions after a write that saw both", got)
		}
	})
}

// Replicated data of a lower fence is merged by the versions' own rule; only clients'
// writes are refused for it.
func TestTrapF3ReplicatedDataIsNotGated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.copy("k", foreign(9, "newer", kv.Object{Fence: 8}, vclock.Context{}))
		req := l.copying("k", foreign(1, "older", kv.Object{Fence: 3}, vclock.Context{}))
		req.Class = kv.ClassReplicated
		if r := l.merge(req); r.Code != wire.ReplicaOK {
			t.Errorf("code %d, %s", r.Code, r.Detail)
		}
		o := l.object("k")
		if got, want := values(o), []string{"newer"}; !cmp.Equal(got, want) || !o.Context.Contains(
			req.Object.Versions[0].Dot) {
			t.Errorf("the key holds %q in %v", got, o.Context)
		}
	})
}

// A repair that was held up over a purge carries an epoch that is over.
func TestTrapS11StaleEpochsAreRefusedAndReadAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		old := l.read("k")
		l.purgedTo(l.target("k").Partition, 4)
		req := l.copying("k", foreign(1, "zombie", kv.Object{}, vclock.Context{}))
		req.Class, req.Epoch = kv.ClassReplicated, old.Epoch
		r := l.merge(req)
		if r.Code != wire.ReplicaStaleEpoch || r.Epoch != 4 {
			t.Fatalf("code %d at epoch %d", r.Code, r.Epoch)
		}
		req.Epoch = l.read("k").Epoch
		if r := l.merge(req); r.Code != wire.ReplicaOK {
			t.Errorf("data of the present epoch: code %d, %s", r.Code, r.Detail)
		}
		if m := l.put("k", "v", vclock.Context{}); m.Epoch != 4 {
			t.Errorf("the sends of a put would carry epoch %d", m.Epoch)
		}
	})
}
