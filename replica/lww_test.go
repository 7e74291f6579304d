// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// skewed is a clock that the test moves.
type skewed struct{ by atomic.Int64 }

func (c *skewed) now() time.Time       { return time.Now().Add(time.Duration(c.by.Load())) }
func (c *skewed) set(by time.Duration) { c.by.Store(int64(by)) }

// lww mints as in a bucket that shows one winner.
func (l *life) lww(key, value string, seen vclock.Context, after kv.Stamp) MintReply {
	l.t.Helper()
	req := l.putting(key, value, seen)
	req.LWW, req.After = true, after
	m := l.mint(req)
	if m.Code != wire.ReplicaOK {
		l.t.Fatalf("put %s=%s: code %d, %s", key, value, m.Code, m.Detail)
	}
	return m
}

func (m *MintReply) stamp() kv.Stamp {
	v, _ := m.Object.Find(m.Dot)
	return v.Stamp
}

// remote is a version of another node with a stamp, over nothing.
func remote(counter uint64, value string, stamp kv.Stamp) kv.Object {
	v := kv.Version{
		Dot: vclock.Dot{Actor: 2<<48 | 99, Counter: counter}, Kind: kv.KindValue,
		Value: []byte(value), Stamp: stamp,
	}.Sealed()
	return kv.Object{Context: vclock.ContextOf(v.Dot), Versions: []kv.Version{v}}
}

func inAnHour() kv.Stamp { return kv.StampAt(time.Now().Add(time.Hour).UnixMilli()) }

func TestAWriteOfAnLWWBucketIsBasedOnAllThatItsOwnerHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.copy("k", remote(1, "by a fast clock", inAnHour()))
		l.copy("k", remote(2, "another", 7))
		m := l.lww("k", "mine", vclock.Context{}, 0)
		if got := values(m.Object); len(got) != 1 || got[0] != "mine" {
			t.Errorf("the object has %q", got)
		}
		if m.stamp() <= inAnHour() {
			t.Errorf("stamp %d is not above what was there", m.stamp())
		}
		other := l.put("k", "siblings stay elsewhere", vclock.Context{})
		if n := len(other.Object.Versions); n != 2 {
			t.Errorf("a bucket of siblings keeps %d versions", n)
		}
	})
}

func TestAWritesStampIsAboveThatOfItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		after := inAnHour() + 5 // of a version that this owner has not got
		m := l.lww("k", "next", vclock.ContextOf(vclock.Dot{Actor: 3<<48 | 1, Counter: 4}), after)
		if m.stamp() <= after {
			t.Errorf("stamp %d after %d", m.stamp(), after)
		}
		last := kv.Stamp(1<<64 - 1)
		if m = l.lww("k", "at the end of time", m.Object.Context, last); m.stamp() != last {
			t.Errorf("stamp %d, want the last there is", m.stamp())
		}
		if w, _ := l.lww("k", "and after it", vclock.Context{}, 0).Object.Winner(); w.Stamp != last ||
			string(w.Value) != "and after it" {
			t.Errorf("%q at %d", w.Value, w.Stamp)
		}
	})
}

// A stamp from far ahead is followed where it stands and nowhere else: else one bad clock
// poisons all (TRAPS K1).
func TestTrapK1AFastClockDoesNotSpread(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.copy("poisoned", remote(1, "v", inAnHour()))
		if m := l.lww("poisoned", "w", vclock.Context{}, 0); m.stamp() <= inAnHour() {
			t.Fatalf("stamp %d", m.stamp())
		}
		limit := kv.StampAt(time.Now().Add(time.Second).UnixMilli())
		for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} { // all partitions
			if m := l.lww(key, "v", vclock.Context{}, 0); m.stamp() > limit {
				t.Errorf("%s is stamped %v ahead", key,
					time.Duration(m.stamp().UnixMilli()-time.Now().UnixMilli())*time.Millisecond)
			}
		}
	})
}

// Within what clocks may differ by, the clock does follow: that is what an HLC is for.
func TestAStampALittleAheadMovesTheClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		ahead := kv.StampAt(time.Now().Add(DefaultMaxAhead / 2).UnixMilli())
		l.copy("k", remote(1, "v", ahead))
		l.lww("k", "w", vclock.Context{}, 0)
		for i := range 50 {
			key := string(rune('a' + i))
			if l.target(key).Partition == l.target("k").Partition {
				if m := l.lww(key, "v", vclock.Context{}, 0); m.stamp() <= ahead {
					t.Errorf("stamp %d, the clock has been at %d", m.stamp(), ahead)
				}
				return
			}
		}
	})
}

// After any stop the clock goes on above what the store has issued, whatever the machine
// believes the time to be.
func TestTrapK1TheClockGoesOnAboveTheLastLifes(t *testing.T) {
	for name, end := range map[string]func(*life) setup{
		"clean": func(l *life) setup { return l.stopped() },
		"killed": func(l *life) setup {
			s := l.crashed(rand.New(rand.NewPCG(1, 1)))
			s.past.Stop = StopKilled
			return s
		},
		"power loss": func(l *life) setup { return l.crashed(rand.New(rand.NewPCG(1, 2))) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				clock := &skewed{}
				l := begin(t, setup{verdict: kv.VerdictConfirmed, clock: clock.now})
				var last kv.Stamp
				for i := range 40 {
					time.Sleep(100 * time.Millisecond)
					m := l.lww(string(rune('a'+i)), "v", vclock.Context{}, 0)
					last = max(last, m.stamp())
				}
				next := end(l)
				clock.set(-time.Hour)
				next.verdict, next.clock = kv.VerdictConfirmed, clock.now
				l = begin(t, next)
				for _, key := range []string{"new1", "new2", "new3", "new4", "new5", "new6"} {
					m := l.lww(key, "v", vclock.Context{}, 0)
					if m.stamp() <= last || m.stamp() > last+kv.StampAt(2000) {
						t.Errorf("%s has stamp %d after %d", key, m.stamp(), last)
					}
				}
			})
		})
	}
}

func TestStampsFromFarAheadAreMergedAndAlarmed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		core, logs := observer.New(zap.ErrorLevel)
		l := begin(t, setup{verdict: kv.VerdictConfirmed, log: zap.New(core)})
		told := func() int { return logs.FilterMessageSnippet("stamped far ahead").Len() }
		l.copy("near", remote(1, "v", kv.StampAt(time.Now().Add(DefaultMaxAhead).UnixMilli())))
		if l.Ahead() != 0 || told() != 0 {
			t.Fatalf("%d counted, %d told of what is near enough", l.Ahead(), told())
		}
		far := remote(2, "v", inAnHour())
		l.copy("far", far)
		if got := values(l.object("far")); len(got) != 1 {
			t.Errorf("the copy was not merged: %q", got)
		}
		if l.Ahead() != 1 || told() != 1 {
			t.Errorf("%d counted, %d told", l.Ahead(), told())
		}
		repaired := l.copying("far2", remote(3, "v", inAnHour()))
		repaired.Class = kv.ClassReplicated
		if r := l.merge(repaired); r.Code != wire.ReplicaOK {
			t.Errorf("replicated data was refused: %s", r.Detail)
		}
		l.copy("far", far) // known by now
		if l.Ahead() != 2 || told() != 1 {
			t.Errorf("%d counted, %d told within a minute", l.Ahead(), told())
		}
		time.Sleep(2 * time.Minute)
		l.copy("far3", remote(4, "v", inAnHour()))
		if l.Ahead() != 3 || told() != 2 {
			t.Errorf("%d counted, %d told later", l.Ahead(), told())
		}
		fields := logs.FilterMessageSnippet("stamped far ahead").All()[0].ContextMap()
		if fields["minted-by"] != uint16(2) || fields["ahead"] != time.Hour {
			t.Errorf("the alarm says %v", fields)
		}
	})
}

// TestTrapK2ATombstoneOfWhatHasExpiredBeatsNothingNewer: not by its stamp either.
func TestTrapK2ATombstoneOfWhatHasExpiredBeatsNothingNewer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		expired := l.put("k", "old", vclock.Context{}).Object
		time.Sleep(time.Second)
		l.put("k", "new", vclock.Context{}) // meanwhile, by somebody who has not seen the old one
		time.Sleep(time.Second)
		req := l.putting("k", "", vclock.ContextOf(expired.Versions[0].Dot))
		req.Kind, req.Value, req.Stamp = kv.KindTombstone, nil, expired.LatestStamp()
		if m := l.mint(req); m.Code != wire.ReplicaOK {
			t.Fatalf("code %d, %s", m.Code, m.Detail)
		}
		now := l.object("k")
		winner, _ := now.Winner()
		if _, there := now.Find(expired.Versions[0].Dot); there || string(winner.Value) != "new" {
			t.Errorf("%v, won by %q", now, winner.Value)
		}
	})
}
