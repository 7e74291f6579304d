// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/jepsen/network/link"
)

// wire is one direction between two hosts of a network of proxies: datagrams meet the rule
// as packets do, streams as far as bytes can that all arrive.
type wire struct {
	mu        sync.Mutex // guards what follows; nothing waits under it
	rule      Rule
	changed   chan struct{} // closed when the rule changes
	counts    Counts        // of streams
	rng       *rand.Rand
	busy      time.Duration // until when the rate is used up by streams
	datagrams *link.Link
}

func newWire(rng *rand.Rand) *wire {
	return &wire{changed: make(chan struct{}), rng: rng, datagrams: link.New(rng)}
}

func (w *wire) get() Rule {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rule
}

func (w *wire) count() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts.Plus(w.datagrams.Counts())
}

// set changes the rule, and returns the datagrams that a jam lets go.
func (w *wire) set(now time.Duration, r Rule) []link.Departure {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rule, w.busy = r, min(w.busy, now)
	close(w.changed)
	w.changed = make(chan struct{})
	r.Corrupt, r.Reset = 0, false // these are of packets
	return w.datagrams.Set(now, r, nil)
}

// offer takes a datagram, and returns what leaves for it.
func (w *wire) offer(now time.Duration, p []byte) []link.Departure {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.datagrams.Offer(now, p, nil)
}

func (w *wire) left(waited int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.datagrams.Left(waited)
}

// turn takes a piece of a stream: when it may go on, or that the stream is reset.
func (w *wire) turn(now time.Duration, size int) (at time.Duration, reset bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts.Packets++
	w.counts.Bytes += int64(size)
	if w.rule.Reset {
		w.counts.Reset++
		return 0, true
	}
	w.counts.Delivered++
	at = now
	if rate := w.rule.Rate; rate > 0 {
		took := time.Duration(float64(size) / float64(rate) * float64(time.Second))
		w.busy = max(w.busy, now) + took
		at = w.busy
	}
	at += w.rule.Delay
	if j := w.rule.Jitter; j > 0 {
		at += time.Duration(w.rng.Int64N(int64(j) + 1))
	}
	if at > now {
		w.counts.Delayed++
	}
	return at, false
}

// await waits until nothing holds the stream; false: ctx has ended.
func (w *wire) await(ctx context.Context) bool {
	for counted := false; ; counted = true {
		w.mu.Lock()
		held, changed := w.rule.Drop || w.rule.Jam, w.changed
		if held && !counted {
			w.counts.Jammed++ // also by a cut: TCP would send it again
		}
		w.mu.Unlock()
		if !held {
			return ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// A datagram is kept with the ports that it goes from and to.
const datagramHeader = 4

func appendHeader(p []byte, from, to uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(p, from), to)
}

func splitHeader(p []byte) (from, to uint16, body []byte) {
	return binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:]), p[datagramHeader:]
}
