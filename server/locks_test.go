// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

const lockName = "jobs/compact"

// wait begins to wait for a lock and returns where the answer will be told.
func wait(c *rpc.Client, session [16]byte, timeout, wait uint32) <-chan answered {
	told := make(chan answered, 1)
	go func() {
		began := time.Now()
		result, err := acquire(c, wire.LockAcquireRequest{
			Common: wire.Common{TimeoutMS: timeout}, Session: session, Holder: 1, Name: lockName,
			WaitMS: wait,
		})
		told <- answered{result, err, time.Since(began)}
	}()
	return told
}

type answered struct {
	result wire.LockAcquireResult
	err    error
	took   time.Duration
}

func TestLockGoesFromHandToHand(t *testing.T) {
	inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
		c, other := f.client(), f.client()
		first, second := openSession(t, c, 1), openSession(t, other, 2)
		if again := openSession(t, other, 1); again != first {
			t.Errorf("a retry opened session %x", again)
		}
		held, err := acquire(c, wire.LockAcquireRequest{Session: first, Holder: 1, Name: lockName})
		must(t, err)
		if held.Fence == 0 || held.Index == 0 || held.Queued {
			t.Fatalf("granted as %+v", held)
		}
		_, err = acquire(other, wire.LockAcquireRequest{Session: second, Holder: 9, Name: lockName})
		wantCode(t, "a try", err, wire.CodeLockHeld)
		waiting := wait(other, second, 60_000, 60_000)
		time.Sleep(5 * time.Second)
		q := wire.LockReleaseRequest{Session: first, Holder: 1, Name: lockName, Fence: held.Fence}
		freed, err := release(c, q)
		if err != nil || !freed.Released {
			t.Errorf("released %+v, %v", freed, err)
		}
		next := <-waiting
		if next.err != nil || next.result.Fence <= held.Fence || next.took != 5*time.Second {
			t.Errorf("the next was granted %+v after %v, %v", next.result, next.took, next.err)
		}
		if freed, err := release(c, q); err != nil || freed.Released {
			t.Errorf("a late release freed something: %+v, %v", freed, err)
		}
	})
}

func TestCancelAndForceEndWhatTheyName(t *testing.T) {
	inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		first, second := openSession(t, c, 1), openSession(t, c, 2)
		held, err := acquire(c, wire.LockAcquireRequest{Session: first, Holder: 1, Name: lockName})
		must(t, err)
		waiting := wait(c, second, 60_000, 60_000)
		synctest.Wait()
		_, err = asked(c, wire.MethodLockCancel,
			wire.LockCancelRequest{Session: second, Holder: 1, Name: lockName},
			wire.AppendLockCancelRequest, done)
		must(t, err)
		gone := <-waiting
		wantCode(t, "the wait that was given up", gone.err, wire.CodeLockLost)
		force := wire.LockForceReleaseRequest{Name: lockName, Fence: held.Fence + 1, Reason: "hangs"}
		for _, want := range []bool{false, true, false} {
			freed, err := asked(c, wire.MethodLockForceRelease, force,
				wire.AppendLockForceReleaseRequest, wire.DecodeLockReleaseResult)
			if err != nil || freed.Released != want {
				t.Errorf("fence %d: %+v, %v", force.Fence, freed, err)
			}
			force.Fence = held.Fence
		}
		last := f.group.decided[len(f.group.decided)-1].(state.ForceRelease)
		if last.By != "n1" || last.Reason != "hangs" {
			t.Errorf("the log says %+v", last)
		}
	})
}

func TestSessionsAreKeptListedAndClosed(t *testing.T) {
	inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		drawn, err := asked(c, wire.MethodSessionOpen,
			wire.SessionOpenRequest{Name: "worker", TTLMS: 5000},
			wire.AppendSessionOpenRequest, wire.DecodeSessionOpenResult)
		if err != nil || drawn.Session == ([16]byte{}) || drawn.TTLMS != 5000 {
			t.Fatalf("opened %+v, %v", drawn, err)
		}
		_, err = asked(c, wire.MethodSessionOpen,
			wire.SessionOpenRequest{Session: drawn.Session, Name: "other"},
			wire.AppendSessionOpenRequest, wire.DecodeSessionOpenResult)
		wantCode(t, "the same id with another name", err, wire.CodeExists)
		list, err := asked(c, wire.MethodSessionList, wire.PrefixRequest{Prefix: "work"},
			wire.AppendPrefixRequest, wire.DecodeSessionListResult)
		if err != nil || len(list.Sessions) != 1 || list.Sessions[0].Session != drawn.Session ||
			list.Sessions[0].Owner != 1 || list.Sessions[0].Since == 0 || list.Index == 0 {
			t.Errorf("listed %+v, %v", list, err)
		}
		q := wire.SessionRequest{Session: drawn.Session}
		_, err = asked(c, wire.MethodSessionKeepAlive, q, wire.AppendSessionRequest, done)
		wantCode(t, "keepalive", err, "")
		for range 2 {
			_, err = asked(c, wire.MethodSessionClose, q, wire.AppendSessionRequest, done)
			wantCode(t, "close", err, "")
		}
		_, err = asked(c, wire.MethodSessionKeepAlive, q, wire.AppendSessionRequest, done)
		wantCode(t, "keepalive of a session that is closed", err, wire.CodeSessionExpired)
		_, err = acquire(c, wire.LockAcquireRequest{Session: q.Session, Holder: 1, Name: "l"})
		wantCode(t, "a lock of a session that is closed", err, wire.CodeSessionExpired)
		list, err = asked(c, wire.MethodSessionList, wire.PrefixRequest{},
			wire.AppendPrefixRequest, wire.DecodeSessionListResult)
		if err != nil || len(list.Sessions) != 0 {
			t.Errorf("listed %+v, %v", list, err)
		}
	})
}

// Waits and keep-alives that fill what a connection may have open keep neither releases
// nor keys from being read.
func TestWaitsAreOutsideOfTheWindow(t *testing.T) {
	narrow := func(cfg *Config) {
		cfg.Client.Limits.InFlight = 4
		cfg.Client.Limits.Parked = 20
	}
	inBubble(t, shape{grouped: true, change: narrow}, func(t *testing.T, f *fixture) {
		c := f.client()
		holder := openSession(t, c, 99)
		held, err := acquire(c, wire.LockAcquireRequest{Session: holder, Holder: 1, Name: lockName})
		must(t, err)
		f.group.set(func(g *soleGroup) { g.slow = time.Second })
		var waits []<-chan answered
		kept := make(chan error, 10)
		for i := range byte(10) {
			waits = append(waits, wait(c, openSession(t, c, i+1), 60_000, 60_000))
			synctest.Wait() // so that they wait in this order
			go func() {
				_, err := asked(c, wire.MethodSessionKeepAlive, wire.SessionRequest{Session: holder},
					wire.AppendSessionRequest, done)
				kept <- err
			}()
		}
		synctest.Wait()
		late := <-wait(c, openSession(t, c, 50), 60_000, 60_000)
		wantCode(t, "one wait too many", late.err, wire.CodeOverloaded)
		_, err = put(c, wire.PutRequest{Key: []byte("k"), Value: []byte("v")})
		must(t, err)
		for range 10 {
			if err := <-kept; err != nil {
				t.Error(err)
			}
		}
		fence := held.Fence
		_, err = release(c, wire.LockReleaseRequest{
			Session: holder, Holder: 1, Name: lockName, Fence: fence,
		})
		must(t, err)
		for i, waiting := range waits {
			got := <-waiting
			if got.err != nil || got.result.Fence <= fence {
				t.Fatalf("waiter %d: %+v, %v", i, got.result, got.err)
			}
			fence = got.result.Fence
			_, err = release(c, wire.LockReleaseRequest{
				Session: sessionID(byte(i + 1)), Holder: 1, Name: lockName, Fence: fence,
			})
			must(t, err)
		}
	})
}

func TestWaitIsAnsweredWithItsPlaceInTime(t *testing.T) {
	cases := []struct {
		timeout     uint32
		least, most time.Duration
	}{
		{1000, 800 * time.Millisecond, 999 * time.Millisecond},
		{8000, 7 * time.Second, 7999 * time.Millisecond},
		{0, 4 * time.Second, 4999 * time.Millisecond}, // the default
		{60_000, 30 * time.Second, 30 * time.Second},
	}
	inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
		c := f.dial("n1:1", patient())
		_, err := acquire(c, wire.LockAcquireRequest{
			Session: openSession(t, c, 1), Holder: 1, Name: lockName,
		})
		must(t, err)
		second := openSession(t, c, 2)
		for _, test := range cases {
			got := <-wait(c, second, test.timeout, 3_600_000)
			if got.err != nil || !got.result.Queued || got.result.Position != 1 || got.result.Fence != 0 {
				t.Errorf("timeout_ms %d: %+v, %v", test.timeout, got.result, got.err)
			}
			if got.took < test.least || got.took > test.most {
				t.Errorf("timeout_ms %d: answered after %v", test.timeout, got.took)
			}
		}
	})
}

func patient() rpc.ClientConfig {
	cfg := rpc.DefaultClientConfig()
	cfg.CallTimeout = 2 * time.Minute
	return cfg
}

func TestAttemptsAndRenewalsHaveBoundsOfTheirOwn(t *testing.T) {
	few := func(cfg *Config) { cfg.MaxAttempts, cfg.MaxRenewals = 2, 2 }
	inBubble(t, shape{grouped: true, change: few}, func(t *testing.T, f *fixture) {
		c := f.client()
		holder := openSession(t, c, 9)
		held, err := acquire(c, wire.LockAcquireRequest{Session: holder, Holder: 1, Name: lockName})
		must(t, err)
		first := wait(c, openSession(t, c, 1), 60_000, 60_000)
		synctest.Wait()
		second := wait(c, openSession(t, c, 2), 60_000, 60_000)
		synctest.Wait()
		third := <-wait(c, openSession(t, c, 3), 60_000, 60_000)
		wantCode(t, "the third attempt", third.err, wire.CodeOverloaded)
		f.group.set(func(g *soleGroup) { g.slow = time.Second })
		kept := make(chan error, 3)
		for range 3 {
			go func() {
				_, err := asked(c, wire.MethodSessionKeepAlive, wire.SessionRequest{Session: holder},
					wire.AppendSessionRequest, done)
				kept <- err
			}()
		}
		wantCode(t, "the third renewal", <-kept, wire.CodeOverloaded)
		if err := errors.Join(<-kept, <-kept); err != nil {
			t.Error(err)
		}
		_, err = release(c, wire.LockReleaseRequest{
			Session: holder, Holder: 1, Name: lockName, Fence: held.Fence,
		})
		must(t, err)
		if got := <-first; got.err != nil {
			t.Error(got.err)
		}
		f.group.carryOut(t, state.SessionClose{ID: sessionID(1)})
		if got := <-second; got.err != nil {
			t.Error(got.err)
		}
	})
}

func TestDrainTellsWaitersTheirPlaceAndKeepAlivesToGoElsewhere(t *testing.T) {
	inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		holder := openSession(t, c, 9)
		_, err := acquire(c, wire.LockAcquireRequest{Session: holder, Holder: 1, Name: lockName})
		must(t, err)
		var waits []<-chan answered
		for i := range byte(3) {
			waits = append(waits, wait(c, openSession(t, c, i+1), 60_000, 60_000))
			synctest.Wait()
		}
		f.group.set(func(g *soleGroup) { g.slow = time.Hour })
		kept := make(chan error, 1)
		go func() {
			_, err := asked(c, wire.MethodSessionKeepAlive, wire.SessionRequest{Session: holder},
				wire.AppendSessionRequest, done)
			kept <- err
		}()
		synctest.Wait()
		began := time.Now()
		must(t, f.server.DrainClients(t.Context()))
		if took := time.Since(began); took > 2*time.Second { // the connection's last bytes
			t.Errorf("drained after %v", took)
		}
		for i, waiting := range waits {
			got := <-waiting
			if got.err != nil || !got.result.Queued || got.result.Position != uint32(i+1) {
				t.Errorf("waiter %d: %+v, %v", i, got.result, got.err)
			}
		}
		wantCode(t, "keepalive", <-kept, wire.CodeShuttingDown)
		for name, g := range map[string]*gate{
			"requests": f.server.requests, "decisions": f.server.decisions,
			"attempts": f.server.attempts, "renewals": f.server.renewals,
		} {
			if open, _ := g.counts(); open != 0 || g.enter(1) == nil {
				t.Errorf("%s: %d are open, or may begin", name, open)
			}
		}
	})
}

// Whatever the table answers, the client gets the code that says it, and a text.
func TestEveryAnswerOfTheLockTableHasItsCode(t *testing.T) {
	want := map[locks.Code]wire.Code{
		locks.CodeOK: "", locks.CodeQueued: "", locks.CodeHeld: wire.CodeLockHeld,
		locks.CodeWaitOver:       wire.CodeWaitTimeout,
		locks.CodeSessionExpired: wire.CodeSessionExpired, locks.CodeLockLost: wire.CodeLockLost,
		locks.CodeConflict: wire.CodeLockConflict, locks.CodeOverloaded: wire.CodeOverloaded,
		locks.CodeInvalid: wire.CodeInvalid, locks.CodeStaleTerm: wire.CodeInternal,
		locks.CodeStaleTerm + 1: wire.CodeInternal,
	}
	f := newFixture(t, shape{grouped: true})
	want[0] = wire.CodeInternal // the table answers every command
	for code := locks.Code(0); code <= locks.CodeStaleTerm+1; code++ {
		for _, detail := range []string{"", "the very reason"} {
			err := lockRefusal(locks.Result{Code: code, Detail: detail})
			checkRefusal(t, f, fmt.Sprint(code), detail, err, want[code])
			if code == 0 {
				continue // a command that is not the table's
			}
			err = refusal(state.Result{Code: state.CodeOK, Lock: locks.Result{Code: code, Detail: detail}})
			checkRefusal(t, f, fmt.Sprint(code), detail, err, want[code])
		}
	}
}

func checkRefusal(t *testing.T, f *fixture, what, detail string, err error, want wire.Code) {
	t.Helper()
	if err == nil || want == "" {
		if err != nil || want != "" {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
		return
	}
	text := f.server.errorText(&request{}, err)
	code, told := wire.ParseError(text)
	if code != want || told == "" && code != wire.CodeInvalid || len(told) < len(detail) {
		t.Errorf("%s: %q, want %s", what, text, want)
	}
}

// The decoders refuse what the table would refuse anyway, and no more.
func TestLimitsOfLocksAreThoseOfTheTable(t *testing.T) {
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	for _, limit := range []struct {
		name        string
		wire, table int64
	}{
		{"name", wire.MaxLockName, locks.MaxName},
		{"reason", wire.MaxReason, locks.MaxName},
		{"value", wire.MaxLockValue, locks.MaxValue},
		{"least TTL", wire.MinSessionTTLMS, ms(locks.MinTTL)},
		{"most TTL", wire.MaxSessionTTLMS, ms(locks.MaxTTL)},
		{"holder", wire.MaxHolder, locks.MaxHolder},
	} {
		if limit.wire != limit.table {
			t.Errorf("%s: %d, the table's is %d", limit.name, limit.wire, limit.table)
		}
	}
	if longest := time.Duration(1<<32-1) * time.Millisecond; longest > locks.MaxWait {
		t.Errorf("a wait of %v is refused by the table", longest)
	}
}
