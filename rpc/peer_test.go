// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/wire"
	"go.uber.org/zap"
)

// testHello sends its newest version as one byte, and gets that of the other side.
type testHello struct{ versions Versions }

func (h testHello) AppendHello(dst []byte) []byte { return append(dst, byte(h.versions.Max)) }

func (h testHello) CheckHello(result []byte) (uint16, error) {
	if len(result) != 1 {
		return 0, errors.New("not a hello")
	}
	return Negotiate(h.versions, Versions{1, uint16(result[0])})
}

// serveHello answers hello with the newest version, and echoes the rest.
func serveHello(newest uint16) HandlerFunc {
	return func(ctx context.Context, c *Call) {
		if string(c.Method) == wire.MethodPeerHello {
			c.Reply(func(dst []byte) []byte { return append(dst, byte(newest)) })
			return
		}
		echo(ctx, c)
	}
}

// peer runs a peer of the rig's server until the test ends.
func (r *rig) peer(change func(*PeerConfig)) *Peer {
	r.t.Helper()
	cfg := DefaultPeerConfig()
	cfg.Addr = serverAddr
	cfg.Dial = r.net.Dialer("c")
	cfg.Hello = testHello{Versions{2, 3}}
	if change != nil {
		change(&cfg)
	}
	p, err := NewPeer(cfg, rand.New(rand.NewPCG(1, 1)), zap.NewNop())
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		if err := p.Run(ctx); err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(func() {
		cancel()
		run.Wait()
	})
	return p
}

// versioned appends the version that the connection speaks, and a text.
func versioned(s string) AppendParams {
	return func(dst []byte, version uint16) []byte {
		return text(s)(append(dst, 0x92, byte(version)))
	}
}

func TestAPeerConnectsAgreesOnAVersionAndCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, DefaultPeerServerConfig(), serveHello(9))
		p := r.peer(func(c *PeerConfig) { c.Conns = 3 })
		if p.Up() {
			t.Error("up before it could dial")
		}
		synctest.Wait()
		if v, ok := p.Version(); !p.Up() || !ok || v != 3 {
			t.Fatalf("version %d, %v", v, ok)
		}
		if got := r.srv.Stats().Conns; got != 3 {
			t.Errorf("%d connections", got)
		}
		got, err := p.Call(t.Context(), "echo", versioned("x"))
		if err != nil || string(got) != string(versioned("x")(nil, 3)) {
			t.Errorf("%q, %v", got, err)
		}
		done := make(chan error, 1)
		soon := time.Now().Add(time.Second)
		p.Go("echo", versioned("y"), soon, func(_ []byte, err error) { done <- err })
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAPeerThatIsDownFailsCallsAtOnceAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, DefaultPeerServerConfig(), serveHello(3))
		p := r.peer(nil)
		synctest.Wait()
		r.kill()
		synctest.Wait()
		for range 100 {
			began := time.Now()
			_, err := p.Call(t.Context(), "echo", versioned("x"))
			if !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrDown) || time.Since(began) != 0 {
				t.Fatalf("%v after %v", err, time.Since(began))
			}
			soon := began.Add(time.Second)
			p.Go("echo", versioned("y"), soon, func(_ []byte, goErr error) { err = goErr })
			if !errors.Is(err, ErrDown) {
				t.Fatalf("%v", err)
			}
			time.Sleep(time.Second)
		}
		r.stop()
		r.serve()
		time.Sleep(5 * time.Second) // the longest pause
		synctest.Wait()
		if _, err := p.Call(t.Context(), "echo", versioned("x")); err != nil {
			t.Errorf("after the restart: %v", err)
		}
	})
}

func TestAPeerDialsWithBoundedBackoffAndAtOnceWhenKicked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, DefaultPeerServerConfig(), serveHello(3))
		var dials []time.Time
		p := r.peer(func(c *PeerConfig) {
			c.Dial = func(context.Context, string) (net.Conn, error) {
				dials = append(dials, time.Now())
				return nil, errors.New("no route")
			}
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		cfg := DefaultPeerConfig()
		if n := len(dials); n < 12+6 || n > 24+10 {
			t.Fatalf("%d dials in a minute", n)
		}
		for i := 1; i < len(dials); i++ {
			pause := dials[i].Sub(dials[i-1])
			most := min(cfg.BackoffMin<<(i-1), cfg.BackoffMax)
			if pause < most/2 || pause > most {
				t.Errorf("pause %d is %v, want %v to %v", i, pause, most/2, most)
			}
		}
		before := len(dials)
		p.Kick()
		synctest.Wait()
		if len(dials) != before+1 {
			t.Errorf("%d dials after a kick, want one", len(dials)-before)
		}
	})
}

func TestAPeerThatSpeaksNoCommonVersionStaysDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, DefaultPeerServerConfig(), serveHello(1))
		p := r.peer(nil)
		time.Sleep(time.Minute)
		if p.Up() {
			t.Error("up without a common version")
		}
		synctest.Wait()
		if got := r.srv.Stats().Conns; got > 1 {
			t.Errorf("%d connections are left over", got)
		}
	})
}

func TestAPeerThatDoesNotAnswerHelloIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater()
		r := newRig(t, DefaultPeerServerConfig(), l.handle)
		p := r.peer(nil)
		time.Sleep(dialTimeout + time.Second)
		if len(l.calls) < 2 {
			t.Errorf("hello was sent %d times", len(l.calls))
		}
		if p.Up() {
			t.Error("up without hello")
		}
	})
}

func TestNegotiate(t *testing.T) {
	cases := []struct {
		a, b Versions
		want uint16
	}{
		{Versions{1, 1}, Versions{1, 1}, 1},
		{Versions{1, 2}, Versions{2, 3}, 2},
		{Versions{2, 3}, Versions{1, 9}, 3},
		{Versions{1, 1}, Versions{2, 3}, 0},
		{Versions{3, 2}, Versions{1, 9}, 0},
	}
	for _, tc := range cases {
		for _, pair := range [][2]Versions{{tc.a, tc.b}, {tc.b, tc.a}} {
			got, err := Negotiate(pair[0], pair[1])
			if got != tc.want || errors.Is(err, ErrIncompatible) != (tc.want == 0) {
				t.Errorf("%v: %d, %v; want %d", pair, got, err, tc.want)
			}
		}
	}
}

func TestChunksWithinChunksAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, DefaultPeerServerConfig(), echo)
		c := r.raw()
		wrap := func(stream uint64, msg []byte) []byte {
			head := wire.AppendNotificationHeader(nil, wire.MethodChunk)
			return append(wire.AppendChunkParams(head, stream, 0, true, len(msg)), msg...)
		}
		request := append(wire.AppendRequestHeader(nil, 1, "echo"), 0x90)
		c.write(wrap(1, wrap(2, request)))
		c.request(2, "echo")
		if h := c.response(); h.MsgID != 2 {
			t.Errorf("a chunk within a chunk was taken for %d", h.MsgID)
		}
		c.write(wrap(3, request))
		if h := c.response(); h.MsgID != 1 {
			t.Errorf("%+v", h)
		}
	})
}

func TestLongMessagesTravelInChunksBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, DefaultPeerServerConfig(), serveHello(3))
		p := r.peer(nil)
		synctest.Wait()
		big := make([]byte, 5<<20)
		for i := range big {
			big[i] = byte(rand.New(rand.NewPCG(1, uint64(i>>16))).Uint32())
		}
		params := func(dst []byte, _ uint16) []byte {
			return append(append(dst, 0xc6, 0, 0x50, 0, 0), big...)
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				got, err := p.Call(t.Context(), "echo", params)
				if err != nil || string(got) != string(params(nil, 3)) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
			wg.Go(func() {
				if _, err := p.Call(t.Context(), "echo", versioned("short")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}
