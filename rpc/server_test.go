// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/wire"
)

// later keeps calls until the test answers them.
type later struct{ calls chan *Call }

func newLater() *later { return &later{calls: make(chan *Call, 100)} }

func (l *later) handle(_ context.Context, c *Call) { l.calls <- c }

// next returns the next call; it fails where none comes.
func (l *later) next(t testing.TB) *Call {
	t.Helper()
	synctest.Wait()
	select {
	case c := <-l.calls:
		return c
	default:
		t.Fatal("no call has come")
		return nil
	}
}

func (l *later) wantNone(t testing.TB) {
	t.Helper()
	synctest.Wait()
	if n := len(l.calls); n != 0 {
		t.Fatalf("%d calls more than the limit lets in", n)
	}
}

func TestAnswersComeInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater()
		r := newRig(t, testConfig(), l.handle)
		c := r.raw()
		c.request(7, "first")
		c.request(0, "second")
		first, second := l.next(t), l.next(t)
		if string(first.Method) != "first" || !bytes.Equal(first.Params, []byte{0x90}) {
			t.Fatalf("%s %x", first.Method, first.Params)
		}
		second.Reply(text("b"))
		if h := c.response(); h.MsgID != 0 || h.Error != nil {
			t.Fatalf("%+v", h)
		}
		first.ReplyError("INVALID: no such thing")
		c.wantError(7, "INVALID")
		first.Reply(nil)
		second.ReplyError("a second answer")
		c.request(9, "third")
		l.next(t).Reply(nil)
		if h := c.response(); h.MsgID != 9 || !bytes.Equal(h.Result, []byte{msgpackNil}) {
			t.Fatalf("a second answer was sent: %+v", h)
		}
	})
}

func TestAFullWindowStopsTheReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater()
		r := newRig(t, testConfig(), l.handle)
		c := r.raw()
		for id := range uint64(6) {
			c.request(id, "wait")
		}
		var open []*Call
		for range 4 {
			open = append(open, l.next(t))
		}
		l.wantNone(t)
		open[2].Reply(text("done"))
		open = append(open, l.next(t))
		l.wantNone(t)
		if !open[0].Park() {
			t.Fatal("the first call could not be parked")
		}
		if open[0].Park() {
			t.Error("a call was parked twice")
		}
		open = append(open, l.next(t))
		if got := r.srv.Stats(); got.Open != 5 || got.Conns != 1 {
			t.Errorf("stats %+v, want 5 calls open on one connection", got)
		}
		for _, call := range open {
			call.Reply(text("done"))
		}
		for range 6 {
			c.response()
		}
		if got := r.srv.Stats(); got.Open != 0 {
			t.Errorf("stats %+v, want none open", got)
		}
	})
}

func TestParkedCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater()
		cfg := testConfig()
		r := newRig(t, cfg, l.handle)
		c := r.raw()
		for id := range uint64(cfg.Limits.Parked + 1) {
			c.request(id, "lock")
			call := l.next(t)
			if ok := call.Park(); ok != (id < uint64(cfg.Limits.Parked)) {
				t.Fatalf("call %d: parked is %v", id, ok)
			}
			defer call.Reply(text("released"))
		}
	})
}

func TestAnIDThatIsInFlightIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater()
		r := newRig(t, testConfig(), l.handle)
		c := r.raw()
		c.request(5, "wait")
		c.request(5, "wait")
		c.wantError(5, "INVALID")
		c.wantEnd()
		l.next(t).Reply(text("too late")) // harmless
	})
}

const faultMessage = "connection closed for a fault of the other side"

func TestFaultsAreAnsweredWhereTheyCanBeAndEndTheConnection(t *testing.T) {
	bin := func(n int) []byte {
		head := []byte{0xc6, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
		return append(head, make([]byte, n)...)
	}
	head := wire.AppendRequestHeader(nil, 5, "kv.put")
	cases := []struct {
		name string
		msg  []byte
		code string // "": no answer
	}{
		{"reserved byte", append(bytes.Clone(head), 0xc1), "INVALID"},
		{"method is a number", []byte{0x94, 0, 5, 1, 0x90}, "INVALID"},
		{"over the message limit", append(bytes.Clone(head), bin(64<<10)...), "TOO_LARGE"},
		{"announces too much", append(bytes.Clone(head), 0xdd, 0xff, 0xff, 0xff, 0xff), "TOO_LARGE"},
		{"too deep", append(bytes.Clone(head), bytes.Repeat([]byte{0x91}, 99)...), "TOO_LARGE"},
		{"no id", []byte{0x94, 0, 0xa0, 0xa1, 'x', 0x90}, ""},
		{"a response", []byte{0x94, 1, 5, 0xc0, 0xc0}, ""},
		{"a map behind a message", []byte{0x93, 2, 0xa1, 'x', 0x90, 0x80}, ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, testConfig(), echo)
				r.net.SetDefaults(memnet.Faults{Delay: time.Millisecond})
				c := r.raw()
				c.write(tc.msg)
				time.Sleep(time.Millisecond / 2)
				c.write(make([]byte, 1000)) // must not destroy the answer by a reset
				if tc.code != "" {
					c.wantError(5, tc.code)
				}
				c.wantEnd()
				_ = c.nc.Close()
				time.Sleep(lingerTime)
				synctest.Wait()
				if n := r.logs.FilterMessage(faultMessage).Len(); n != 1 {
					t.Errorf("%d log entries: %v", n, r.logs.All())
				}
			})
		})
	}
}

func TestUnknownNotificationsAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testConfig(), echo)
		c := r.raw()
		c.write(append(wire.AppendNotificationHeader(nil, "whatever"), 0x90))
		chunk := wire.AppendNotificationHeader(nil, wire.MethodChunk) // not on this port
		c.write(append(wire.AppendChunkParams(chunk, 1, 0, true, 1), 0x90))
		c.request(1, "echo")
		if h := c.response(); h.MsgID != 1 {
			t.Fatalf("%+v", h)
		}
	})
}

func TestForeignConnectionsAreClosedWithAHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testConfig(), echo)
		for _, tc := range []struct{ bytes, hint string }{
			{"GET / HTTP/1.1\r\n", "HTTP"},
			{"\x16\x03\x01\x02", "TLS"},
			{"\x95\x00", "another protocol"},
		} {
			c := r.raw()
			c.write([]byte(tc.bytes))
			if _, err := c.tryResponse(time.Minute); err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%q: %v", tc.bytes, err)
			}
			synctest.Wait()
			logs := r.logs.TakeAll()
			if len(logs) != 1 || logs[0].Message != "foreign connection closed" ||
				!strings.Contains(fmt.Sprint(logs[0].ContextMap()["hint"]), tc.hint) {
				t.Errorf("%q: logged %v, want a hint at %s", tc.bytes, logs, tc.hint)
			}
		}
		for range 50 {
			r.raw().write([]byte("GET"))
		}
		synctest.Wait()
		if n := r.logs.Len(); n > noticesBurst {
			t.Errorf("50 strangers wrote %d log entries", n)
		}
		if got := r.srv.Refusals(); got != (Refusals{Foreign: 53}) {
			t.Errorf("counted as %+v", got)
		}
	})
}

func TestTooManyConnectionsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Conns = 2
		r := newRig(t, cfg, echo)
		first, second := r.raw(), r.raw()
		second.request(1, "echo")
		second.response()
		r.raw().wantEnd()
		_ = first.nc.Close()
		synctest.Wait()
		third := r.raw()
		third.request(1, "echo")
		third.response()
		if got := r.srv.Refusals(); got != (Refusals{TooMany: 1}) {
			t.Errorf("counted as %+v", got)
		}
	})
}

func TestAnAnswerOverTheLimitBecomesAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		r := newRig(t, cfg, func(_ context.Context, c *Call) {
			c.Reply(func(dst []byte) []byte {
				dst = append(dst, 0xc6, 0, 1, 0, 0)
				return append(dst, make([]byte, 64<<10)...)
			})
		})
		c := r.raw()
		c.request(3, "big")
		c.wantError(3, "TOO_LARGE")
		c.request(4, "big")
		c.wantError(4, "TOO_LARGE")
	})
}

func TestNotificationsAreSentToWhoAskedForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater()
		r := newRig(t, testConfig(), l.handle)
		c := r.raw()
		c.request(1, "hello")
		call := l.next(t)
		conn := call.Conn()
		conn.SetState("a watcher")
		call.Reply(text("ok"))
		c.response()
		if err := conn.Notify("lock.event", text("freed")); err != nil {
			t.Fatal(err)
		}
		if h := c.response(); h.Type != wire.TypeNotification || string(h.Method) != "lock.event" {
			t.Fatalf("%+v", h)
		}
		if conn.State() != "a watcher" {
			t.Errorf("state is %v", conn.State())
		}
		_ = c.nc.Close()
		<-conn.Done()
		if err := conn.Notify("lock.event", text("freed")); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestConfigsSayAllThatIsWrongWithThem(t *testing.T) {
	err := ServerConfig{Auth: &AuthLimits{}}.Validate()
	for _, word := range []string{"Message", "Depth", "InFlight", "Unsent", "Conns", "Held", "Auth"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("nothing is said about %s: %v", word, err)
		}
	}
	err = PeerConfig{}.Validate()
	for _, word := range []string{"address", "Conns", "dialer", "hello", "backoff", "CallTimeout"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("nothing is said about %s: %v", word, err)
		}
	}
	for _, cfg := range []interface{ Validate() error }{
		DefaultServerConfig(), DefaultPeerServerConfig(),
		DefaultClientConfig(), DefaultPeerClientConfig(),
	} {
		if err := cfg.Validate(); err != nil {
			t.Errorf("%T: %v", cfg, err)
		}
	}
}
