// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/wire"
	"github.com/vmihailenco/msgpack/v5"
	"go.uber.org/zap"
)

// FuzzServerReader: whatever bytes a connection brings, the server does not crash,
// gives handlers only what a full decoder accepts, answers only with what the scan
// accepts, and allocates in proportion to what came.
func FuzzServerReader(f *testing.F) {
	request := append(wire.AppendRequestHeader(nil, 1, "echo"), 0x91, 0x80)
	chunk := func(seq uint64, last bool, b []byte) []byte {
		msg := wire.AppendNotificationHeader(nil, wire.MethodChunk)
		return append(wire.AppendChunkParams(msg, 1, seq, last, len(b)), b...)
	}
	f.Add(request)
	f.Add(append(bytes.Clone(request), request...)) // one id twice
	f.Add(append(chunk(0, false, request[:5]), chunk(1, true, request[5:])...))
	f.Add(chunk(0, true, chunk(0, true, request))) // a chunk within a chunk
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("\x94\x00\x05\xa4echo\xdd\xff\xff\xff\xff\x01"))
	f.Add([]byte("\x94\x01\x05\xc0\xc0"))
	f.Add([]byte("\x94\x00\x05\xa4echo\xc6\x00\x3f\xff\xff"))

	cfg := DefaultPeerServerConfig()
	cfg.Limits.InFlight = 8
	cfg.Limits.Message = 64 << 10
	var mu sync.Mutex
	var fault string
	srv, err := NewServer(cfg, HandlerFunc(func(ctx context.Context, c *Call) {
		r := bytes.NewReader(c.Params)
		if _, err := msgpack.NewDecoder(r).DecodeRaw(); err != nil || r.Len() != 0 {
			mu.Lock()
			fault = "a handler was given what does not decode"
			mu.Unlock()
		}
		echo(ctx, c)
	}), zap.NewNop())
	if err != nil {
		f.Fatal(err)
	}
	network := memnet.New(1)
	ln, err := network.Listen(serverAddr)
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() { _ = srv.Serve(ctx, ln) })
	f.Cleanup(func() { cancel(); served.Wait() })

	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		answers := exchange(t, network, data)
		runtime.ReadMemStats(&after)
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(4<<20+200*len(data)); got > most {
			t.Errorf("%d bytes cost %d bytes of memory", len(data), got)
		}
		var s wire.Scanner
		for len(answers) > 0 {
			n, done, err := s.Scan(answers)
			if err != nil || !done {
				t.Fatalf("answers end with %x: %v", answers, err)
			}
			if _, err := wire.ParseHeader(answers[:n]); err != nil {
				t.Fatalf("answer %x: %v", answers[:n], err)
			}
			answers = answers[n:]
		}
		mu.Lock()
		defer mu.Unlock()
		if fault != "" {
			t.Fatal(fault)
		}
	})
}

// exchange sends data and returns all that comes back.
func exchange(t *testing.T, network *memnet.Network, data []byte) []byte {
	nc, err := network.Dial(t.Context(), "c", serverAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	// A server that has refused the connection breaks the write; what it answered
	// is still there to be read.
	_, _ = nc.Write(data)
	_ = nc.(interface{ CloseWrite() error }).CloseWrite()
	answers, _ := io.ReadAll(nc)
	return answers
}
