// SPDX-License-Identifier: Apache-2.0

package workload_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

// TestAnAttemptThatItsClientHasCancelledEndsWheneverOthersNeedIt: it was granted, nobody
// heard of it, the client gave up and cancelled it, somebody else was granted the lock, and
// only then did the attempt return. Seed 13 of `dyno-jepsen locks` took that for two holders.
func TestAnAttemptThatItsClientHasCancelledEndsWheneverOthersNeedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLockRun(t, true, 100)
		r.group.instead = func(*workload.LockRequest) *workload.LockAnswer {
			time.Sleep(time.Second)
			return &workload.LockAnswer{Outcome: history.Info, Over: true, Error: "too late"}
		}
		r.do(t, r.owner, workload.LockStep{})
		if got := kindsOf(r.ops()); got != "session-open acquire cancel" {
			t.Fatalf("recorded %s", got)
		}
		attempt, cancel := r.ops()[1], r.ops()[2]
		if cancel.Invoked != attempt.Invoked || cancel.Completed < int64(time.Second) ||
			cancel.Outcome != history.OK || attempt.Outcome != history.Info ||
			attempt.Error != "too late" {
			t.Errorf("%s\n%s", &attempt, &cancel)
		}

		// In its time others were refused, and then granted the lock.
		at := func(ms int64) int64 { return attempt.Invoked + ms*int64(time.Millisecond) }
		other := func(k history.Kind, from, to int64, l history.Lock) history.Op {
			l.Session = "9.1"
			return history.Op{
				Process: 9, Kind: k, Key: attempt.Key, Invoked: at(from), Completed: at(to),
				Outcome: history.OK, Lock: l,
			}
		}
		open := other(history.SessionOpen, 0, 1, history.Lock{})
		open.Key, open.TTL = "9.1", int64(time.Minute)
		h := &history.History{Header: r.record.History().Header, Ops: append(r.ops(), open,
			other(history.Acquire, 100, 101, history.Lock{Holder: 1}),
			other(history.Acquire, 200, 201, history.Lock{Holder: 2, Fence: 8}),
			other(history.Release, 300, 301, history.Lock{Holder: 2, Fence: 8, Released: true}),
		)}
		report, err := checker.Check(h, checker.DefaultConfig())
		if err != nil || report.Verdict != checker.Valid {
			t.Errorf("%v, %s", err, report)
		}
	})
}
