// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/rpc/memnet"
	"go.uber.org/zap"
)

// outcome is one completion.
type outcome struct {
	result string
	err    error
}

// goCall sends a call and returns where its completions come; there is room for
// a second one, so that a test would see it.
func goCall(c *Client, method, params string, timeout time.Duration) chan outcome {
	got := make(chan outcome, 2)
	c.Go(method, text(params), time.Now().Add(timeout), func(result []byte, err error) {
		got <- outcome{string(result), err}
	})
	return got
}

func TestCallsGetTheirOwnAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testConfig(), func(ctx context.Context, c *Call) {
			if string(c.Method) == "fail" {
				c.ReplyError("NO_SUCH_BUCKET: no bucket: x")
				return
			}
			echo(ctx, c)
		})
		c := r.client(DefaultClientConfig())
		for i := range 100 {
			want := fmt.Sprint("value ", i)
			got, err := c.Call(t.Context(), "echo", text(want))
			if err != nil || string(got) != string(text(want)(nil)) {
				t.Fatalf("%q, %v", got, err)
			}
		}
		var remote *RemoteError
		_, err := c.Call(t.Context(), "fail", text(""))
		if !errors.As(err, &remote) || remote.Code() != "NO_SUCH_BUCKET" {
			t.Errorf("%v", err)
		}
		if errors.Is(err, ErrNotSent) || errors.Is(err, ErrUnanswered) {
			t.Error("an answer was taken for none")
		}
	})
}

// Mutant M23: a late answer taken as the next one's.
func TestALateAnswerIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater()
		r := newRig(t, testConfig(), l.handle)
		c := r.client(DefaultClientConfig())
		began := time.Now()
		first := goCall(c, "first", "", time.Second)
		late := l.next(t)
		got := <-first
		if !errors.Is(got.err, ErrUnanswered) || !errors.Is(got.err, context.DeadlineExceeded) {
			t.Fatalf("%+v", got)
		}
		if time.Since(began) != time.Second {
			t.Errorf("the deadline came after %v", time.Since(began))
		}
		second := goCall(c, "second", "", time.Minute)
		call := l.next(t)
		late.Reply(text("late"))
		synctest.Wait()
		if len(second) != 0 {
			t.Fatalf("the late answer went to another call: %+v", <-second)
		}
		call.Reply(text("in time"))
		if got := <-second; got.result != string(text("in time")(nil)) {
			t.Errorf("%+v", got)
		}
	})
}

func TestDeadlinesComeInTheirOrderFromOneTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater()
		cfg := testConfig()
		cfg.Limits.InFlight = 100
		c := newRig(t, cfg, l.handle).client(DefaultClientConfig())
		began := time.Now()
		r := rand.New(rand.NewPCG(1, 1))
		var wg sync.WaitGroup
		for range 100 {
			timeout := time.Duration(1+r.IntN(10_000)) * time.Millisecond
			got := goCall(c, "wait", "", timeout)
			wg.Go(func() {
				if o := <-got; !errors.Is(o.err, context.DeadlineExceeded) || time.Since(began) != timeout {
					t.Errorf("%v after %v, want %v", o.err, time.Since(began), timeout)
				}
			})
		}
		wg.Wait()
	})
}

func TestACancelledCallIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater()
		c := newRig(t, testConfig(), l.handle).client(DefaultClientConfig())
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := c.Call(ctx, "wait", text(""))
		if !errors.Is(err, ErrUnanswered) || !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		l.next(t).Reply(text("late"))
		_, err = c.Call(t.Context(), "wait", text(""))
		if !errors.Is(err, ErrUnanswered) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a deadline of its own: %v", err)
		}
		ctx, cancel = context.WithDeadline(t.Context(), time.Now())
		defer cancel()
		if _, err = c.Call(ctx, "wait", text("")); !errors.Is(err, ErrNotSent) {
			t.Errorf("after the deadline: %v", err)
		}
	})
}

func TestALostConnectionTellsSentFromUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The server reads nothing while its one call is open, so that the client's
		// writer is held up by a full network.
		block := make(chan struct{})
		cfg := testConfig()
		cfg.Limits.Message = 1 << 20
		r := newRig(t, cfg, func(_ context.Context, c *Call) { <-block })
		ccfg := DefaultClientConfig()
		ccfg.Limits.Chunk = 512 << 10 // never understood here, for nothing is read
		c := r.client(ccfg)
		sent := goCall(c, "blocks", "", time.Hour)
		synctest.Wait()
		pad := func(size int) func([]byte) []byte {
			return func(dst []byte) []byte {
				dst = append(dst, 0xc6, 0, byte(size>>16), byte(size>>8), byte(size))
				return append(dst, make([]byte, size)...)
			}
		}
		stuck, long := make(chan outcome, 2), make(chan outcome, 2)
		hour := time.Now().Add(time.Hour)
		c.Go("fills", pad(500<<10), hour, func(_ []byte, err error) { stuck <- outcome{err: err} })
		synctest.Wait()
		behind := goCall(c, "behind", "", time.Hour)
		c.Go("long", pad(600<<10), hour, func(_ []byte, err error) { long <- outcome{err: err} })
		synctest.Wait()
		r.kill()
		close(block)
		for name, want := range map[string]struct {
			got chan outcome
			err error
		}{
			"handled":       {sent, ErrUnanswered},
			"half written":  {stuck, ErrUnanswered},
			"behind it":     {behind, ErrNotSent},
			"not one chunk": {long, ErrNotSent},
		} {
			if o := <-want.got; !errors.Is(o.err, want.err) {
				t.Errorf("%s: %v, want %v", name, o.err, want.err)
			}
		}
		<-c.Ended()
		if o := <-goCall(c, "after", "", time.Hour); !errors.Is(o.err, ErrNotSent) {
			t.Errorf("after the end: %v", o.err)
		}
	})
}

func TestAClientRefusesWhatItsBoundsDoNotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater()
		r := newRig(t, testConfig(), l.handle)
		cfg := DefaultClientConfig()
		cfg.Limits.InFlight = 3
		cfg.Limits.Message = 1 << 10
		c := r.client(cfg)
		var open []chan outcome
		for range 3 {
			open = append(open, goCall(c, "wait", "", time.Minute))
		}
		o := <-goCall(c, "wait", "", time.Minute)
		if !errors.Is(o.err, ErrNotSent) || !errors.Is(o.err, ErrBusy) {
			t.Errorf("a fourth call: %v", o.err)
		}
		for range 3 {
			l.next(t).Reply(text("ok"))
		}
		for _, got := range open {
			if o := <-got; o.err != nil {
				t.Error(o.err)
			}
		}
		long := string(make([]byte, 1<<10))
		o = <-goCall(c, "long", long, time.Minute)
		if !errors.Is(o.err, ErrNotSent) || !errors.Is(o.err, ErrTooLong) {
			t.Errorf("a long call: %v", o.err)
		}
	})
}

func TestASilentServerIsPingedAndThenGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, DefaultPeerServerConfig(), echo)
		cfg := DefaultPeerClientConfig()
		c := r.client(cfg)
		time.Sleep(time.Hour)
		if isClosed(c.Ended()) {
			t.Fatalf("closed although pings are answered: %v", c.reason())
		}
		r.net.Cut("s", "c")
		began := time.Now()
		<-c.Ended()
		took := time.Since(began)
		if took < 2*cfg.PingAfter || took > 4*cfg.PingAfter || !errors.Is(c.reason(), ErrSilent) {
			t.Errorf("%v after %v", c.reason(), took)
		}
	})
}

// Goal: I2 and I3 under everything that a network does. Method: calls with unique
// params over connections that are reset, stalled and cut, with deadlines and
// cancellations; the server notes what it was asked.
func TestEveryCallCompletesOnceWhateverTheNetworkDoes(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runCallStorm(t, seed) })
		})
	}
}

// storm is the server's side of a run, and what it was asked.
type storm struct {
	mu      sync.Mutex // guards rng and asked
	rng     *rand.Rand
	asked   map[string]bool
	pending sync.WaitGroup
	kinds   map[string]int
}

func (s *storm) handle(ctx context.Context, c *Call) {
	s.mu.Lock()
	s.asked[string(c.Params)] = true
	s.mu.Unlock()
	if delay := s.upTo(20); delay > 5 {
		s.pending.Go(func() {
			time.Sleep(time.Duration(delay) * time.Millisecond)
			echo(ctx, c)
		})
		return
	}
	echo(ctx, c)
}

func (s *storm) upTo(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(n)
}

func runCallStorm(t *testing.T, seed uint64) {
	s := &storm{
		rng:   rand.New(rand.NewPCG(seed, 0)),
		asked: make(map[string]bool),
		kinds: make(map[string]int),
	}
	cfg := DefaultPeerServerConfig()
	cfg.Limits.InFlight = 16
	r := newRig(t, cfg, s.handle)
	r.net.SetDefaults(memnet.Faults{
		Delay: time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.02, Reset: 0.002,
	})
	for conn := range 20 {
		s.oneConnection(t, r, conn)
	}
	s.pending.Wait()
	if s.kinds["answered"] < 100 || s.kinds["unanswered"] < 10 || s.kinds["not sent"] < 10 {
		t.Errorf("the storm was too calm: %v", s.kinds)
	}
}

// oneConnection sends a hundred calls, closes on the way, and checks their ends.
func (s *storm) oneConnection(t *testing.T, r *rig, conn int) {
	cfg := DefaultPeerClientConfig()
	cfg.Limits.Chunk = 1 << 10
	nc, err := r.net.Dial(t.Context(), "c", serverAddr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClient(nc, cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	var run sync.WaitGroup
	run.Go(func() { _ = c.Run(t.Context()) })
	var calls []chan outcome
	var params []string
	for i := range 100 {
		params = append(params, fmt.Sprintf("%d/%d/%s", conn, i, make([]byte, s.upTo(3000))))
		timeout := time.Duration(s.upTo(400)) * time.Millisecond
		calls = append(calls, goCall(c, "echo", params[i], timeout))
		if i%10 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	time.Sleep(20 * time.Millisecond)
	c.Close()
	run.Wait()
	for i, got := range calls {
		if len(got) != 1 {
			t.Fatalf("call %d/%d completed %d times", conn, i, len(got))
		}
		s.check(t, fmt.Sprintf("call %d/%d", conn, i), string(text(params[i])(nil)), <-got)
	}
}

// check compares how a call ended with what the server was asked.
func (s *storm) check(t *testing.T, name, sent string, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked[sent]
	switch unsent := errors.Is(o.err, ErrNotSent); {
	case o.err == nil:
		s.kinds["answered"]++
		if o.result != sent || !asked {
			t.Errorf("%s got the answer of another", name)
		}
	case unsent == errors.Is(o.err, ErrUnanswered):
		t.Errorf("%s: %v is neither or both", name, o.err)
	case unsent:
		s.kinds["not sent"]++
		if asked {
			t.Errorf("%s was carried out, but fails with %v", name, o.err)
		}
	default:
		s.kinds["unanswered"]++
	}
}
