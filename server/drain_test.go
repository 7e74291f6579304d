// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// begin sends a put and returns where its end will be told.
func begin(c *rpc.Client, key string, size int) <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := put(c, wire.PutRequest{Key: []byte(key), Value: make([]byte, size)})
		ended <- err
	}()
	return ended
}

func TestMoreRequestsThanTheBoundAreRefusedBeforeAnythingIsDone(t *testing.T) {
	cases := []struct {
		name   string
		change func(*Config)
		size   int
	}{
		{"by number", func(cfg *Config) { cfg.MaxRequests = 2 }, 1},
		{"by bytes", func(cfg *Config) { cfg.MaxBytes = 25_000 }, 10_000},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, shape{change: test.change}, func(t *testing.T, f *fixture) {
				c, other := f.client(), f.client()
				f.keys.stick()
				first, second := begin(c, "k1", test.size), begin(other, "k2", test.size)
				synctest.Wait()
				_, err := put(c, wire.PutRequest{Key: []byte("k3"), Value: make([]byte, test.size)})
				if code, text := codeOf(err); code != wire.CodeOverloaded ||
					!strings.Contains(text, "50 ms") {
					t.Errorf("one too many: %v", err)
				}
				if f.server.Refused() != 1 || f.server.Open() != 2 {
					t.Errorf("%d refused, %d open", f.server.Refused(), f.server.Open())
				}
				for _, method := range []string{"ping", "hello", "cluster.info", "cluster.status"} {
					if _, err := call(c, method, params()); err != nil {
						t.Errorf("%s of a busy node: %v", method, err)
					}
				}
				f.keys.release()
				if err := errors.Join(<-first, <-second); err != nil {
					t.Error(err)
				}
				if _, err := put(c, wire.PutRequest{Key: []byte("k4"), Value: []byte("v")}); err != nil {
					t.Errorf("when there is room again: %v", err)
				}
				if !f.keys.object("k3").IsZero() {
					t.Error("what was refused was done")
				}
			})
		})
	}
}

func TestDrainFinishesWhatIsOpenAndRefusesWhatIsNew(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		c, idle, p := f.client(), f.client(), f.peer(f.hello())
		f.keys.stick()
		open := begin(c, "open", 1)
		synctest.Wait()
		drained := make(chan error, 1)
		go func() { drained <- f.server.DrainClients(t.Context()) }()
		synctest.Wait()
		_, err := put(c, wire.PutRequest{Key: []byte("new"), Value: []byte("v")})
		if code, _ := codeOf(err); code != wire.CodeShuttingDown {
			t.Errorf("a new request: %v, want SHUTTING_DOWN", err)
		}
		if answer := forward(t, p, "new"); !strings.HasPrefix(answer.Error, "SHUTTING_DOWN: ") {
			t.Errorf("a forwarded request: %q, want SHUTTING_DOWN", answer.Error)
		}
		<-idle.Ended() // nothing was open there
		select {
		case err := <-drained:
			t.Fatalf("drained with a request open: %v", err)
		default:
		}
		f.keys.release()
		if err := errors.Join(<-open, <-drained); err != nil {
			t.Error(err)
		}
		<-c.Ended()
		if !f.keys.object("new").IsZero() {
			t.Error("what was refused was done")
		}
	})
}

func TestDrainThatIsCutShortLeavesNothingRunning(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		f.keys.stick()
		open := begin(f.client(), "k", 1)
		p := f.peer(f.hello())
		forwarded := make(chan wire.ForwardReply, 1)
		go func() { forwarded <- forward(t, p, "k2") }()
		synctest.Wait()
		if n := f.server.Open(); n != 2 {
			t.Fatalf("%d requests are open, want 2", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := f.server.DrainClients(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
		if n := f.server.Open(); n != 0 {
			t.Errorf("%d requests are still worked on", n)
		}
		if err := <-open; !errors.Is(err, rpc.ErrUnanswered) {
			t.Errorf("the client was told %v", err)
		}
		if answer := <-forwarded; !strings.HasPrefix(answer.Error, "TIMEOUT: ") {
			t.Errorf("the forwarding node was told %q", answer.Error)
		}
	})
}

// idleControl is a Control whose answers a test sets.
type idleControl struct{ err error }

func (c idleControl) StopNode(context.Context, string) error { return c.err }

func (c idleControl) StartNode(ctx context.Context, _ string) error {
	<-ctx.Done()
	return errors.New("still starting")
}

func (c idleControl) Stopped(string) bool { return false }

func TestControlErrorsSayWhoseFaultItWas(t *testing.T) {
	cases := []struct {
		err  error
		code wire.Code
	}{
		{nil, ""},
		{errors.Join(ErrRefused, errors.New("no such node")), wire.CodeInvalid},
		{errors.New("address in use"), wire.CodeUnavailable},
	}
	n2 := params(str("name"), str("n2"), str("timeout_ms"), raw("cd03e8"))
	for _, test := range cases {
		inBubble(t, shape{control: idleControl{test.err}}, func(t *testing.T, f *fixture) {
			_, err := call(f.client(), wire.MethodNodeStop, n2)
			if code, _ := codeOf(err); err != nil && code != test.code || err == nil && test.code != "" {
				t.Errorf("stop: %v, want %s", err, test.code)
			}
			_, err = call(f.client(), wire.MethodNodeStart, n2)
			if code, _ := codeOf(err); code != wire.CodeTimeout {
				t.Errorf("start: %v, want TIMEOUT", err)
			}
		})
	}
}
