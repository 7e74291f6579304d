// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/wire"
	"go.uber.org/zap"
)

// FuzzClientReader: whatever a server answers, a client does not crash, completes
// each call once, and ends when the connection does.
func FuzzClientReader(f *testing.F) {
	f.Add(append(wire.AppendResponseHeader(nil, 1), 0x80))
	f.Add(wire.AppendErrorResponse(nil, 2, "QUORUM: need 2, got 1"))
	f.Add(append(append(wire.AppendResponseHeader(nil, 2), 0x80), "\x94\x01\x02\xc0\x80"...))
	f.Add(append(wire.AppendRequestHeader(nil, 1, "ping"), 0x90))
	chunk := wire.AppendNotificationHeader(nil, wire.MethodChunk)
	f.Add(append(wire.AppendChunkParams(chunk, 1, 0, true, 5), "\x94\x01\x01\xc0\x80"...))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := memnet.New(1)
		ln, err := n.Listen(serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		nc, err := n.Dial(t.Context(), "c", serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = server.SetDeadline(time.Now().Add(10 * time.Second))
		c, err := NewClient(nc, DefaultPeerClientConfig(), zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		var calls []chan outcome
		for range 3 {
			calls = append(calls, goCall(c, "echo", "x", time.Minute))
		}
		_, _ = server.Write(data) // may be cut short by a client that has seen enough
		_ = server.(interface{ CloseWrite() error }).CloseWrite()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := c.Run(ctx); err == nil || errors.Is(err, ErrClosed) {
			t.Errorf("the client did not end with its connection: %v", err)
		}
		_ = server.Close()
		_ = ln.Close()
		for i, got := range calls {
			if len(got) != 1 {
				t.Fatalf("call %d completed %d times", i, len(got))
			}
		}
	})
}
