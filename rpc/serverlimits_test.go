// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

// answerBig answers with 32 KiB.
func answerBig(_ context.Context, c *Call) {
	c.Reply(func(dst []byte) []byte {
		return append(append(dst, 0xc5, 0x80, 0x00), make([]byte, 32<<10)...)
	})
}

func TestAClientThatDoesNotReadIsCutOffAndHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testConfig(), answerBig)
		slow, quick := r.raw(), r.raw()
		began := time.Now()
		for id := range uint64(100) {
			slow.request(id, "big")
		}
		synctest.Wait()
		limits := r.srv.cfg.Limits
		if got := r.srv.Stats().Unsent; got < limits.Unsent || got > limits.Unsent+limits.Message {
			t.Errorf("%d bytes are unsent, want the bound of %d and one message", got, limits.Unsent)
		}
		quick.request(1, "big")
		quick.response()
		if time.Since(began) != 0 {
			t.Errorf("the other connection waited %v", time.Since(began))
		}
		time.Sleep(limits.WriteTimeout + time.Millisecond)
		synctest.Wait()
		if got := r.srv.Stats(); got.Conns != 1 || got.Unsent != 0 {
			t.Errorf("after the write timeout: %+v", got)
		}
		if n := r.logs.FilterMessage(faultMessage).Len(); n != 1 {
			t.Errorf("%d log entries", n)
		}
	})
}

func TestAnswersOutsideTheWindowAreBoundedToo(t *testing.T) {
	cases := []struct {
		name, method string
		drain        bool
	}{
		{"pings", wire.MethodPeerPing, false},
		{"refusals of a draining server", "new", true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig()
				cfg.AnswerPing, cfg.Limits.Unsent = true, 4<<10
				l := newLater()
				r := newRig(t, cfg, l.handle)
				c := r.raw()
				c.request(1, "open") // keeps the connection while the server drains
				call := l.next(t)
				if tc.drain {
					go func() { _ = r.srv.Shutdown(t.Context()) }()
					synctest.Wait()
				}
				one := append(wire.AppendRequestHeader(nil, 2, tc.method), 0x90)
				go func() { // nobody reads the answers: the server must stop reading
					_, _ = c.nc.Write(bytes.Repeat(one, 200_000))
				}()
				synctest.Wait()
				if got := r.srv.Stats().Unsent; got < 4<<10 || got > 5<<10 {
					t.Errorf("%d bytes are unsent, want about the bound of %d", got, 4<<10)
				}
				call.Reply(nil)
			})
		})
	}
}

func TestAStuckSocketDoesNotKeepTheWindowShut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Limits.InFlight = 1
		cfg.Limits.Unsent = 64 << 20
		l := newLater()
		r := newRig(t, cfg, l.handle)
		c := r.raw()
		for id := range uint64(20) { // the network holds 8 answers that nobody reads
			c.request(id, "big")
		}
		for range 20 {
			answerBig(t.Context(), l.next(t))
		}
	})
}

func TestASlowButLivingReaderGetsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testConfig(), answerBig)
		c := r.raw()
		go func() {
			for id := range uint64(100) {
				c.request(id, "big")
			}
		}()
		for range 100 {
			time.Sleep(500 * time.Millisecond)
			c.response()
		}
	})
}

func TestAnswersThatPileUpBeyondReasonEndTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Limits.InFlight = 200
		cfg.Limits.Unsent = 32 << 10
		l := newLater()
		l.calls = make(chan *Call, 200)
		r := newRig(t, cfg, l.handle)
		c := r.raw()
		for id := range uint64(200) {
			c.request(id, "big")
		}
		synctest.Wait()
		for range 200 {
			answerBig(t.Context(), <-l.calls)
		}
		synctest.Wait()
		if got := r.srv.Stats(); got.Conns != 0 {
			t.Errorf("%+v, want the connection closed at %d times its bound", got, hardUnsentFactor)
		}
	})
}

func TestAuthenticationIsBoundedInBytesAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Auth = &AuthLimits{Message: 4 << 10, Timeout: 5 * time.Second}
		r := newRig(t, cfg, func(_ context.Context, c *Call) {
			if string(c.Method) == "hello" {
				c.Conn().Lift()
			}
			c.Reply(text("ok"))
		})
		message := func(size int) []byte {
			msg := append(wire.AppendRequestHeader(nil, 1, "put"), 0xc5, byte(size>>8), byte(size))
			return append(msg, make([]byte, size)...)
		}
		long, idle, good := r.raw(), r.raw(), r.raw()
		long.write(message(5 << 10))
		long.wantError(1, "TOO_LARGE")
		long.wantEnd()

		good.request(1, "hello")
		good.response()
		began := time.Now()
		_, err := idle.tryResponse(time.Minute)
		if err == nil || time.Since(began) != cfg.Auth.Timeout {
			t.Errorf("without authentication: %v after %v", err, time.Since(began))
		}
		time.Sleep(time.Minute)
		good.write(message(5 << 10))
		if h := good.response(); h.Error != nil {
			t.Errorf("after authentication: %s", h.Error)
		}
	})
}

func TestAHalfMessageIsNotWaitedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		r := newRig(t, cfg, echo)
		half, idle := r.raw(), r.raw()
		half.write([]byte{0x94, 0x00, 0x01, 0xd9, 60}) // a method of 60 bytes
		began := time.Now()
		go func() { // a byte now and then does not help
			for range 10 {
				time.Sleep(10 * time.Second)
				if _, err := half.nc.Write([]byte{'m'}); err != nil {
					return
				}
			}
		}()
		if _, err := half.tryResponse(time.Hour); err == nil {
			t.Fatal("an answer to half a message")
		}
		if got := time.Since(began); got != cfg.Limits.MessageTimeout {
			t.Errorf("closed after %v, want %v", got, cfg.Limits.MessageTimeout)
		}
		for range 3 { // each message has its own time
			time.Sleep(24 * time.Hour)
			idle.write([]byte{0x94, 0x00})
			time.Sleep(cfg.Limits.MessageTimeout - time.Second)
			idle.write([]byte{0x01, 0xa1, 'm', 0x90})
			idle.response()
		}
	})
}

func TestASilentPeerIsClosedByTheAnsweringSide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultPeerServerConfig()
		r := newRig(t, cfg, echo)
		c := r.raw()
		for range 10 {
			time.Sleep(cfg.Limits.Idle * 3 / 4)
			c.request(1, wire.MethodPeerPing)
			if h := c.response(); len(h.Result) != 1 || h.Result[0] != emptyArray {
				t.Fatalf("%+v", h)
			}
		}
		began := time.Now()
		_, err := c.tryResponse(time.Hour)
		if got := time.Since(began); err == nil || got < cfg.Limits.Idle*7/8 || got > cfg.Limits.Idle {
			t.Errorf("%v after %v", err, got)
		}
	})
}

func TestDrainingFinishesWhatIsOpenAndRefusesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater()
		r := newRig(t, testConfig(), l.handle)
		busy, idle := r.raw(), r.raw()
		busy.request(1, "slow")
		call := l.next(t)
		down := make(chan error, 1)
		go func() { down <- r.srv.Shutdown(t.Context()) }()
		idle.wantEnd()
		_ = idle.nc.Close()
		busy.request(2, "new")
		busy.wantError(2, "SHUTTING_DOWN")
		if _, err := r.net.Dial(t.Context(), "c", serverAddr); err == nil {
			t.Error("a draining server accepts connections")
		}
		l.wantNone(t)
		call.Reply(text("finished"))
		if h := busy.response(); h.MsgID != 1 || h.Error != nil {
			t.Fatalf("%+v", h)
		}
		busy.wantEnd()
		_ = busy.nc.Close()
		if err := <-down; err != nil {
			t.Errorf("shutdown: %v", err)
		}
		r.served.Wait()
		if err := r.srv.Shutdown(t.Context()); err != nil {
			t.Errorf("a second shutdown: %v", err)
		}
	})
}

func TestDrainingEndsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater()
		r := newRig(t, testConfig(), l.handle)
		c := r.raw()
		c.request(1, "stuck")
		call := l.next(t)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		began := time.Now()
		err := r.srv.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		r.served.Wait()
		call.Reply(text("nobody hears it"))
	})
}

func TestServeEndsWithItsContextAndTakesItsConnectionsAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := make(chan struct{})
		r := newRig(t, testConfig(), func(ctx context.Context, c *Call) {
			close(started)
			<-ctx.Done() // on the reader's goroutine
			c.ReplyError("SHUTTING_DOWN: sent or not, as the writer is at its end or past it")
		})
		c := r.raw()
		c.request(1, "wait")
		<-started
		r.stop()
		r.served.Wait()
		_, err := c.tryResponse(time.Second)
		if err == nil {
			_, err = c.tryResponse(time.Second)
		}
		if err == nil {
			t.Error("the connection outlives Serve")
		}
	})
}
