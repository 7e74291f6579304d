// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"testing"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// lockScript builds a history of lock "l". Sessions are letters, open from the start with a
// time to live of 100; each operation has a process of its own.
type lockScript struct {
	testing.TB
	h history.History
}

func (s *lockScript) add(o history.Op, changes []change) {
	if o.Key == "" {
		o.Key = "l"
	}
	o.Outcome, o.Process = history.OK, len(s.h.Ops)
	for _, c := range changes {
		c(&o)
	}
	s.h.Ops = append(s.h.Ops, o)
}

func (s *lockScript) open(name string) {
	s.add(history.Op{
		Kind: history.SessionOpen, Key: name, Completed: 1, TTL: 100,
		Lock: history.Lock{Session: name},
	}, nil)
}

// who splits "a1": session a, holder 1.
func who(text string) history.Lock {
	return history.Lock{Session: text[:1], Holder: uint64(text[1] - '0')}
}

func (s *lockScript) acquire(by string, fence uint64, from, to int64, changes ...change) {
	o := history.Op{Kind: history.Acquire, Invoked: from, Completed: to, Lock: who(by)}
	o.Lock.Fence = fence
	s.add(o, changes)
}

func (s *lockScript) release(by string, fence uint64, from, to int64, changes ...change) {
	o := history.Op{Kind: history.Release, Invoked: from, Completed: to, Lock: who(by)}
	o.Lock.Fence, o.Lock.Released = fence, true
	s.add(o, changes)
}

func (s *lockScript) cancel(by string, from, to int64, changes ...change) {
	s.add(history.Op{Kind: history.Cancel, Invoked: from, Completed: to, Lock: who(by)}, changes)
}

func (s *lockScript) force(fence uint64, from, to int64, changes ...change) {
	o := history.Op{Kind: history.ForceRelease, Invoked: from, Completed: to}
	o.Lock = history.Lock{Fence: fence, Released: true}
	s.add(o, changes)
}

func (s *lockScript) ends(k history.Kind, name string, from, to int64, changes ...change) {
	s.add(history.Op{
		Kind: k, Key: name, Invoked: from, Completed: to, Lock: history.Lock{Session: name},
	}, changes)
}

func shared(o *history.Op)      { o.Lock.Shared = true }
func lost(o *history.Op)        { o.Lock.Lost = true }
func expired(o *history.Op)     { o.Outcome, o.Lock.Expired, o.Lock.Lost = history.Fail, true, true }
func notReleased(o *history.Op) { o.Lock.Released = false }
func unknown(o *history.Op)     { o.Outcome, o.Lock.Released, o.Lock.Lost = history.Info, false, true }
func renewed(at int64) change   { return func(o *history.Op) { o.Lock.Renewed = at } }

type lockCase struct {
	name  string
	build func(s *lockScript)
	// want are the broken rules. A second holder is one for the search too.
	want string
	cfg  func(*Config)
}

func runLocks(t *testing.T, cases []lockCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &lockScript{TB: t, h: history.History{Header: history.Header{Version: 1, N: 3}}}
			for _, name := range []string{"a", "b", "c"} {
				s.open(name)
			}
			c.build(s)
			cfg := small()
			cfg.MinGrants = 0
			if c.cfg != nil {
				c.cfg(&cfg)
			}
			r := check(t, &s.h, cfg)
			want := Valid
			if c.want != "" {
				want = Invalid
			}
			if got := rulesOf(r); got != c.want || r.Verdict != want {
				t.Errorf("broken: %q, want %q: %s", got, c.want, r)
			}
		})
	}
}

func TestFencesGrowAndAreUnique(t *testing.T) {
	runLocks(t, []lockCase{
		{"one after the other", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			s.release("a1", 5, 12, 13)
			s.acquire("b1", 9, 14, 15)
		}, "", nil},
		{"back", func(s *lockScript) {
			s.acquire("a1", 9, 10, 11)
			s.release("a1", 9, 12, 13)
			s.acquire("b1", 5, 14, 15)
		}, "fence-order no-order", nil},
		{"back on another lock", func(s *lockScript) {
			s.acquire("a1", 9, 10, 11)
			s.acquire("b1", 5, 14, 15, func(o *history.Op) { o.Key = "m" })
		}, "fence-order", nil},
		{"in one moment", func(s *lockScript) {
			s.acquire("a1", 9, 10, 14)
			s.acquire("b1", 5, 14, 15, func(o *history.Op) { o.Key = "m" })
		}, "", nil},
		{"through a third that lies between", func(s *lockScript) {
			s.acquire("a1", 5, 30, 31, func(o *history.Op) { o.Key = "m" })
			s.acquire("b1", 7, 10, 40, func(o *history.Op) { o.Key = "n" })
			s.acquire("c1", 9, 20, 25)
		}, "fence-order", nil},
		{"equal, on two locks", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			s.acquire("b1", 5, 10, 11, func(o *history.Op) { o.Key = "m" })
		}, "equal-fences", nil},
	})
}

func TestALockHasOneHolderAtATime(t *testing.T) {
	second := func(between func(s *lockScript)) func(s *lockScript) {
		return func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			between(s)
			s.acquire("b1", 6, 50, 55)
		}
	}
	const two = "no-order two-holders"
	runLocks(t, []lockCase{
		{"nothing ended it", second(func(*lockScript) {}), two, nil},
		{"released", second(func(s *lockScript) { s.release("a1", 5, 54, 60) }), "", nil},
		{"released in the moment of the grant", second(func(s *lockScript) {
			s.release("a1", 5, 55, 60)
		}), "", nil},
		{"released too late", second(func(s *lockScript) { s.release("a1", 5, 56, 60) }), two, nil},
		{"released late, and had been over", second(func(s *lockScript) {
			s.ends(history.SessionLost, "a", 30, 31)
			s.release("a1", 5, 156, 160, lost)
		}), two, nil},
		{"released when its session may have been over, after another grant", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			s.acquire("b1", 6, 120, 125, lost)
			s.release("a1", 5, 156, 160, lost)
		}, two, nil},
		{"released, perhaps", second(func(s *lockScript) { s.release("a1", 5, 20, 21, unknown) }), "", nil},
		{"a release that was refused", second(func(s *lockScript) {
			s.release("a1", 5, 20, 21, fail, notReleased)
		}), two, nil},
		{"by a second try", second(func(s *lockScript) {
			s.release("a1", 5, 20, 21, notReleased, again)
		}), "", nil},
		{"cancelled", second(func(s *lockScript) { s.cancel("a1", 20, 21) }), "", nil},
		{"cancelled, perhaps", second(func(s *lockScript) { s.cancel("a1", 20, 21, unknown) }), "", nil},
		{"another attempt was cancelled", second(func(s *lockScript) {
			s.cancel("a2", 20, 21)
		}), two, nil},
		{"taken by force", second(func(s *lockScript) { s.force(5, 20, 21) }), "", nil},
		{"another was taken by force", second(func(s *lockScript) {
			s.force(4, 20, 21, notReleased)
		}), two, nil},
		{"its session was closed", second(func(s *lockScript) {
			s.ends(history.SessionClose, "a", 20, 21)
		}), "", nil},
		{"another session was closed", second(func(s *lockScript) {
			s.ends(history.SessionClose, "c", 20, 21)
		}), two, nil},
		{"its session was closed too late", second(func(s *lockScript) {
			s.ends(history.SessionClose, "a", 56, 57)
		}), two, nil},
		{"its session was left, but not long enough", second(func(s *lockScript) {
			s.ends(history.SessionLeave, "a", 20, 21)
		}), two, nil},
	})
}

func TestASessionLivesForItsTimeAfterEachRenewal(t *testing.T) {
	taken := func(at int64, before func(s *lockScript)) func(s *lockScript) {
		return func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			before(s)
			s.acquire("b1", 6, at, at)
		}
	}
	nothing := func(*lockScript) {}
	renewedAt := func(at int64) func(s *lockScript) {
		return func(s *lockScript) {
			s.ends(history.SessionLost, "a", 290, 290, lost, renewed(at))
		}
	}
	const two = "no-order two-holders"
	runLocks(t, []lockCase{
		{"over when its time has passed", taken(100, nothing), "", nil},
		{"over before", taken(99, nothing), two, nil},
		{"renewed", taken(219, renewedAt(120)), two, nil},
		{"renewed, and over", taken(220, renewedAt(120)), "", nil},
		{"its client has it", taken(150, func(s *lockScript) {
			s.acquire("a2", 0, 160, 161, func(o *history.Op) { o.Key = "m"; o.Outcome = history.Fail })
		}), two, nil},
		{"its client has told of the loss", taken(150, func(s *lockScript) {
			s.acquire("a2", 0, 160, 161, expired, func(o *history.Op) { o.Key = "m" })
		}), "", nil},
		{"its client should have told of the loss", func(s *lockScript) {
			s.release("a1", 5, 221, 221, fail, notReleased)
			renewedAt(120)(s)
		}, "late-loss", nil},
	})
}

func TestReadersShareALock(t *testing.T) {
	runLocks(t, []lockCase{
		{"two readers", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11, shared)
			s.acquire("b1", 6, 12, 13, shared)
		}, "", nil},
		{"a reader beside a writer", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			s.acquire("b1", 6, 12, 13, shared)
		}, "no-order two-holders", nil},
		{"a writer beside the first of two readers", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11, shared)
			s.acquire("b1", 6, 12, 13, shared)
			s.release("b1", 6, 14, 15)
			s.acquire("c1", 7, 16, 17)
		}, "no-order two-holders", nil},
		{"a writer after both", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11, shared)
			s.acquire("b1", 6, 12, 13, shared)
			s.release("b1", 6, 14, 15)
			s.release("a1", 5, 14, 15)
			s.acquire("c1", 7, 16, 17)
		}, "", nil},
	})
}

func TestNothingIsGrantedToASessionThatIsOver(t *testing.T) {
	runLocks(t, []lockCase{
		{"closed", func(s *lockScript) {
			s.ends(history.SessionClose, "a", 10, 11)
			s.acquire("a1", 5, 12, 13, lost)
		}, "dead-session", nil},
		{"closed, perhaps", func(s *lockScript) {
			s.ends(history.SessionClose, "a", 10, 11, unknown)
			s.acquire("a1", 5, 12, 13, lost)
		}, "", nil},
		{"in the moment in which it is closed", func(s *lockScript) {
			s.ends(history.SessionClose, "a", 10, 12)
			s.acquire("a1", 5, 12, 13, lost)
		}, "", nil},
		{"told so by another operation", func(s *lockScript) {
			s.acquire("a1", 0, 120, 121, expired)
			s.acquire("a2", 5, 122, 123, lost)
		}, "dead-session", nil},
		{"the one before was still in place when it was closed", func(s *lockScript) {
			s.acquire("b1", 4, 2, 3)
			s.acquire("a1", 5, 5, 60)
			s.release("b1", 4, 50, 55)
			s.ends(history.SessionClose, "a", 10, 11)
		}, "dead-session", nil},
	})
}

func TestWhatIsHeldIsNotLostByItself(t *testing.T) {
	runLocks(t, []lockCase{
		{"a release finds nothing", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			s.release("a1", 5, 20, 21, notReleased)
		}, "lock-gone no-order", nil},
		{"because it was cancelled", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			s.cancel("a1", 12, 13)
			s.release("a1", 5, 20, 21, notReleased)
		}, "", nil},
		{"because its session may be over", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			s.release("a1", 5, 120, 121, notReleased, lost)
		}, "", nil},
		{"a session that is over too soon", func(s *lockScript) {
			s.acquire("a1", 0, 50, 51, expired)
		}, "session-gone", nil},
		{"released twice", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			s.release("a1", 5, 20, 21)
			s.release("a1", 5, 22, 23)
		}, "no-order released-twice", nil},
		{"released, and never granted", func(s *lockScript) {
			s.acquire("a1", 0, 10, 11, unknown)
			s.release("a1", 5, 20, 21)
		}, "released-nothing", nil},
		{"lost, where none may be", func(s *lockScript) {
			s.ends(history.SessionLost, "a", 90, 90, lost)
		}, "session-lost", func(c *Config) { c.KeepSessions = true }},
		{"lost, where that may be", func(s *lockScript) {
			s.ends(history.SessionLost, "a", 90, 90, lost)
		}, "", nil},
	})
}

func TestAnswersHaveAnOrder(t *testing.T) {
	runLocks(t, []lockCase{
		{"refused while it is held", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			s.acquire("b1", 0, 12, 13)
		}, "", nil},
		{"refused while nobody can have it", func(s *lockScript) {
			s.acquire("b1", 0, 12, 13)
		}, "no-order", nil},
		{"refused after its release", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			s.release("a1", 5, 14, 15)
			s.acquire("b1", 0, 16, 17)
		}, "no-order", nil},
		{"refused by an attempt of unknown outcome", func(s *lockScript) {
			s.acquire("a1", 0, 10, 11, unknown)
			s.acquire("b1", 0, 16, 17)
		}, "", nil},
		{"an attempt of unknown outcome that is cancelled has it no more", func(s *lockScript) {
			s.acquire("a1", 0, 10, 11, unknown)
			s.cancel("a1", 12, 13)
			s.acquire("b1", 0, 16, 17)
		}, "no-order", nil},
		{"nor does one whose session is closed", func(s *lockScript) {
			s.acquire("a1", 0, 10, 11, unknown)
			s.ends(history.SessionClose, "a", 12, 13, lost)
			s.acquire("b1", 0, 16, 17)
		}, "no-order", nil},
		{"one that ends with its session", func(s *lockScript) {
			s.acquire("a1", 0, 10, 11, unknown)
			s.acquire("b1", 0, 16, 17)
			s.acquire("b2", 7, 120, 121, func(o *history.Op) { o.Lock.Lost = true })
		}, "", nil},
	})
}
