// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// standing is a mint request to a fallback.
func (l *life) standing(key, value string, seen vclock.Context) *MintRequest {
	req := l.putting(key, value, seen)
	req.Role, req.Slot = kv.RoleFallback, StandInSlot
	return req
}

// standIn mints as a fallback and expects success.
func (l *life) standIn(key, value string, seen vclock.Context) MintReply {
	l.t.Helper()
	m := l.mint(l.standing(key, value, seen))
	if m.Code != wire.ReplicaOK || m.Role != kv.RoleFallback {
		l.t.Fatalf("put %s=%s: code %d as %s, %s", key, value, m.Code, m.Role, m.Detail)
	}
	return m
}

// minted is the hint that a fallback mints into.
func (l *life) mintedHint(key string) Hint {
	l.t.Helper()
	for _, h := range l.listed(l.cell(key, StandInSlot)) {
		if string(h.Key) == key {
			return h
		}
	}
	l.t.Fatalf("%s has no hint", key)
	return Hint{}
}

// A fallback mints over all that its hints have of the key, and what it mints is a hint.
func TestTrapC14AFallbackMintsOverAllItsHints(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		key := l.outer(0)
		seen := foreign(1, "seen", kv.Object{}, vclock.Context{})
		l.hint(key, 1, seen)
		l.hint(key, 2, foreign(2, "beside", kv.Object{}, vclock.Context{}))
		first := l.standIn(key, "first", seen.Context)
		if got := values(first.Object); !cmp.Equal(got, []string{"beside", "first"}) {
			t.Errorf("sent: %q", got)
		}
		l.standIn(key, "second", vclock.Context{}) // blind: it overwrites nothing
		want := []string{"beside", "first", "second"}
		if got := values(l.object(key)); !cmp.Equal(got, want) {
			t.Errorf("read: %q, want %q", got, want)
		}
		if got := values(l.mintedHint(key).Object); !cmp.Equal(got, want) {
			t.Errorf("the hint holds %q, want %q", got, want)
		}
		l.counted()
	})
}

// Who owns the partition does not stand in for its owners, and who does not own it does
// not mint as one (TRAPS S10, S12). Nobody mints into another slot's hint.
func TestTrapC14RolesAreNotMixed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		elsewhere := l.standing(l.outer(0), "v", vclock.Context{})
		elsewhere.Slot = 1
		nobody := l.putting(l.inner(0), "v", vclock.Context{})
		nobody.Role = 0
		for name, req := range map[string]*MintRequest{
			"an owner as a fallback": l.standing(l.inner(0), "v", vclock.Context{}),
			"a fallback as an owner": l.putting(l.outer(0), "v", vclock.Context{}),
			"into another slot":      elsewhere,
			"without a role":         nobody,
		} {
			if m := l.mint(req); m.Code != wire.ReplicaRefused {
				t.Errorf("%s: code %d, %s", name, m.Code, m.Detail)
			}
		}
		l.put(l.inner(0), "v", vclock.Context{})
		l.standIn(l.outer(0), "v", vclock.Context{})
	})
}

// The incarnation of a fallback ends before the first hint is deleted that holds one of its
// dots: else the next dot would claim what was delivered, and nobody has overwritten.
func TestTrapC14TheIncarnationEndsBeforeItsHint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		key := l.outer(0)
		first := l.standIn(key, "first", vclock.Context{})
		other := foreign(1, "foreign", kv.Object{}, vclock.Context{})
		l.hint(key, 1, other)
		if h := l.listed(l.cell(key, 1))[0]; !l.drop(h, h.Object.Context) {
			t.Fatal("a delivered hint stays")
		}
		second := l.standIn(key, "second", vclock.Context{})
		if first.Dot.Actor != second.Dot.Actor {
			t.Error("the incarnation ended with a hint that has none of its dots")
		}
		delivered := l.mintedHint(key)
		if !l.drop(delivered, delivered.Object.Context) {
			t.Fatal("a delivered hint stays")
		}
		third := l.standIn(key, "third", vclock.Context{})
		if third.Dot.Actor == second.Dot.Actor {
			t.Error("the incarnation went on after its hint was gone")
		}
		owner := kv.Merge(delivered.Object, third.Object)
		if want := []string{"first", "second", "third"}; !cmp.Equal(values(owner), want) {
			t.Errorf("an owner holds %q, want %q", values(owner), want)
		}
	})
}

// An incarnation is resumed after a clean stop that has kept its hints, and only then.
func TestTrapC14IncarnationsAfterAStart(t *testing.T) {
	for _, c := range []struct {
		name    string
		end     func(*life, string) setup
		verdict kv.Verdict
		resumed bool
	}{
		{"clean", func(l *life, _ string) setup { return l.stopped() }, kv.VerdictConfirmed, true},
		{"clean, not confirmed", func(l *life, _ string) setup { return l.stopped() },
			kv.VerdictUnknown, false},
		{"clean, and the hint was delivered", func(l *life, key string) setup {
			h := l.mintedHint(key)
			l.drop(h, h.Object.Context)
			return l.stopped()
		}, kv.VerdictConfirmed, false},
		{"power loss", func(l *life, _ string) setup {
			return l.crashed(rand.New(rand.NewPCG(1, 1)))
		}, kv.VerdictConfirmed, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				first := beginWide(t, setup{})
				key := first.outer(0)
				before := first.standIn(key, "v", vclock.Context{})
				next := c.end(first, key)
				next.verdict = c.verdict
				l := beginWide(t, next)
				after := l.standIn(key, "w", vclock.Context{})
				if resumed := after.Dot.Actor == before.Dot.Actor; resumed != c.resumed {
					t.Errorf("resumed %v", resumed)
				}
			})
		})
	}
}

// A marked incarnation that this life has not used ends with its hint as well.
func TestTrapC14AMarkedIncarnationEndsWithItsHint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first := beginWide(t, setup{})
		key := first.outer(0)
		before := first.standIn(key, "v", vclock.Context{})
		l := beginWide(t, first.stopped())
		l.counted()
		h := l.mintedHint(key)
		l.drop(h, h.Object.Context)
		if after := l.standIn(key, "w", vclock.Context{}); after.Dot.Actor == before.Dot.Actor {
			t.Error("an incarnation was resumed whose hint is gone")
		}
	})
}

// A retry at the same fallback is answered with the dot of the first try, also after a
// start; where the hint it was minted into has gone, and another still has it, it is put
// there again before it counts.
func TestTrapC10ARetryAtAFallbackFindsItsDot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first := beginWide(t, setup{})
		key := first.outer(0)
		req := func(l *life) *MintRequest {
			req := l.standing(key, "v", vclock.Context{})
			req.Request = kv.RequestID{7}
			return req
		}
		was := first.mint(req(first))
		first.hint(key, 2, was.Object)
		if again := first.mint(req(first)); !again.Repeat || again.Dot != was.Dot {
			t.Errorf("%+v", again)
		}
		l := beginWide(t, first.crashed(nil))
		l.counted()
		if again := l.mint(req(l)); !again.Repeat || again.Dot != was.Dot {
			t.Errorf("after a start: %+v", again)
		}
		h := l.mintedHint(key)
		l.drop(h, h.Object.Context)
		again := l.mint(req(l))
		if !again.Repeat || again.Dot != was.Dot || !l.mintedHint(key).Object.Context.Contains(was.Dot) {
			t.Errorf("after the hint was delivered: %+v", again)
		}
		h = l.mintedHint(key)
		l.drop(h, h.Object.Context)
		h = l.listed(l.cell(key, 2))[0]
		l.drop(h, h.Object.Context)
		if other := l.mint(req(l)); other.Repeat || other.Dot == was.Dot {
			t.Errorf("after all hints were delivered: %+v", other)
		}
	})
}

// At the bound nothing is minted, and nothing stored.
func TestAFallbackThatHasNoRoomMintsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{hints: 1000})
		l.counted()
		sent := 0
		req := l.standing(l.outer(0), string(make([]byte, 2000)), vclock.Context{})
		req.Minted = func(MintReply) { sent++ }
		if m := l.mint(req); m.Code != wire.ReplicaOverloaded || sent != 0 {
			t.Errorf("code %d, sent %d times", m.Code, sent)
		}
		l.standIn(l.outer(0), "small", vclock.Context{})
		l.checkBook()
	})
}

// Over a hint that can not be read nothing is minted, and the incarnation ends, whoever
// meets it: nobody knows which of its dots are in it. One of another slot is done without.
func TestTrapC2AFallbackMintsNothingOverADamagedHint(t *testing.T) {
	for _, c := range []struct {
		slot    uint8
		arrival bool
	}{{StandInSlot, false}, {StandInSlot, true}, {2, false}} {
		t.Run(fmt.Sprintf("slot %d, by a hint: %t", c.slot, c.arrival), func(t *testing.T) {
			slot := c.slot
			bubble(t, func(t *testing.T) {
				first := beginWide(t, setup{})
				key, other := first.outer(0), ""
				for i := 1; other == ""; i++ {
					if name := first.outer(i); first.target(name).Partition == first.target(key).Partition {
						other = name
					}
				}
				before := first.standIn(key, "v", vclock.Context{})
				first.hint(key, 2, foreign(1, "x", kv.Object{}, vclock.Context{}))
				l := beginWide(t, first.stopped())
				at := l.target(key)
				record := wire.AppendHintKey(nil, at.Partition, slot, at.Bucket, at.Key)
				l.engine.Damage(record, func(b []byte) []byte { b[len(b)-1] ^= 0xff; return b })
				var code wire.ReplicaCode
				if c.arrival {
					more := foreign(2, "y", kv.Object{}, vclock.Context{})
					code = l.merge(l.hinting(key, slot, more)).Code
				} else {
					code = l.mint(l.standing(key, "w", vclock.Context{})).Code
				}
				if refused := code == wire.ReplicaUnreadable; refused != (slot == StandInSlot) {
					t.Errorf("code %d", code)
				}
				after := l.standIn(other, "y", vclock.Context{})
				if ended := after.Dot.Actor != before.Dot.Actor; ended != (slot == StandInSlot) {
					t.Errorf("the incarnation ended: %v", ended)
				}
			})
		})
	}
}

// TestTrapC14SchedulesLoseNothing plays mints, hints of others, deliveries, stops and power
// losses at a fallback, with blind writers only: none of them overwrites anything, so what
// the owners were sent and what is still kept must hold all that was ever acknowledged.
func TestTrapC14SchedulesLoseNothing(t *testing.T) {
	deliveries, starts := 0, 0
	for seed := range uint64(40) {
		bubble(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 14))
			l := beginWide(t, setup{rand: rng})
			keys := []string{l.outer(0), l.outer(1), l.outer(2)}
			seen := dots{}
			owners := make(map[string]kv.Object)
			acked := make(map[string][]string)
			for n := range uint64(120) {
				key := keys[rng.IntN(len(keys))]
				value := fmt.Sprintf("%d", n)
				switch rng.IntN(10) {
				case 0, 1, 2, 3:
					m := l.standIn(key, value, vclock.Context{})
					seen.see(t, m.Object)
					acked[key] = append(acked[key], value)
				case 4, 5:
					// Another fallback's hint, over what this one has sent before. It has an
					// incarnation of its own each time: its own hints are delivered as well.
					v := kv.Version{
						Dot:  vclock.Dot{Actor: vclock.Actor(2<<48 | 1000 + n), Counter: 1},
						Kind: kv.KindValue, Value: []byte(value),
					}
					o, err := l.object(key).Put(v.Sealed(), vclock.Context{})
					if err != nil {
						t.Fatal(err)
					}
					l.hint(key, uint8(rng.IntN(3)), o)
					acked[key] = append(acked[key], value)
				case 6, 7, 8:
					slot := uint8(rng.IntN(3))
					for _, h := range l.listed(l.cell(key, slot)) {
						owners[string(h.Key)] = kv.Merge(owners[string(h.Key)], h.Object)
						if l.drop(h, h.Object.Context) {
							deliveries++
						}
					}
				default:
					next := l.stopped()
					if rng.IntN(2) == 0 {
						next = setup{engine: next.engine, past: Past{Stop: StopPowerLoss}}
					}
					next.rand = rng
					l = beginWide(t, next)
					starts++
				}
			}
			for _, key := range keys {
				got := values(kv.Merge(owners[key], l.object(key)))
				slices.Sort(acked[key])
				if diff := cmp.Diff(acked[key], got); diff != "" {
					t.Errorf("seed %d, %s:\n%s", seed, key, diff)
				}
			}
			if l.Rollbacks() != 0 || l.Collisions() != 0 {
				t.Errorf("seed %d: %d rollbacks, %d collisions", seed, l.Rollbacks(), l.Collisions())
			}
		})
		if t.Failed() {
			return
		}
	}
	if deliveries < 100 || starts < 100 {
		t.Errorf("%d deliveries and %d starts", deliveries, starts)
	}
}
