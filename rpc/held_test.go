// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"testing"
	"testing/synctest"

	"github.com/dyno-kv/dyno/wire"
)

// Goal: what strangers can make a server hold has a bound over all connections, not only
// for each. Method: more of them than fit do the worst that each may.
func TestAllConnectionsTogetherHoldABoundedNumberOfBytes(t *testing.T) {
	half := append(wire.AppendRequestHeader(nil, 1, "put"), 0xc6, 0x00, 0x0f, 0x00, 0x00)
	half = append(half, make([]byte, 900<<10)...) // of 960 KiB
	var unread []byte
	for id := range uint64(40) { // answers of 32 KiB
		unread = append(wire.AppendRequestHeader(unread, id, "big"), 0x90)
	}
	for name, bytes := range map[string][]byte{
		"messages that are never finished": half, "answers that are never read": unread,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig()
				cfg.Limits.Message, cfg.Limits.Unsent = 1<<20, 1<<20
				cfg.Held = 4 << 20
				r := newRig(t, cfg, answerBig)
				honest := r.raw()
				const strangers = 20
				for range strangers {
					_, _ = r.raw().nc.Write(bytes) // it may be cut off in the middle
					synctest.Wait()
				}
				stats := r.srv.Stats()
				if stats.Conns < 3 || stats.Conns > strangers/2 || stats.Unsent > cfg.Held {
					t.Errorf("%+v, want the connections that fit %d bytes", stats, cfg.Held)
				}
				if got := r.srv.held.Load(); got < int64(cfg.Held)/2 || got > int64(cfg.Held) {
					t.Errorf("%d bytes are held, the bound is %d", got, cfg.Held)
				}
				honest.request(1, "big")
				if h := honest.response(); h.Error != nil {
					t.Errorf("the connection that holds least: %s", h.Error)
				}
				if r.logs.FilterMessage(faultMessage).Len() == 0 {
					t.Error("nothing was logged")
				}
				r.stop()
				r.served.Wait()
				if got := r.srv.held.Load(); got != 0 {
					t.Errorf("%d bytes are held by nobody", got)
				}
			})
		})
	}
}
