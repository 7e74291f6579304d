// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

// foreignError says that a connection began with a byte of another protocol.
type foreignError struct{ first byte }

func (e *foreignError) Error() string {
	return fmt.Sprintf("rpc: the first byte is %#02x, not a MessagePack-RPC message", e.first)
}

// hint is what an operator should look at.
func (e *foreignError) hint() string {
	switch wire.ClassifyFirstByte(e.first) {
	case wire.FirstTLS:
		return "the other side speaks TLS, which is off on this port"
	case wire.FirstHTTP:
		return "the other side may speak HTTP, which has a port of its own"
	default:
		return "the other side speaks another protocol, or TLS with the wrong settings"
	}
}

// reader cuts the bytes of a connection into messages that have passed the scan.
// It is used by one goroutine.
type reader struct {
	nc net.Conn
	// stop is closed when nothing more that comes is of interest.
	stop <-chan struct{}
	scan wire.Scanner
	buf  []byte
	// buf[begin:end] has been read and not been returned yet.
	begin, end int
	// started says that the first byte of the connection has been checked.
	started bool

	// resized is told the length of the buffer where that is, or was, above readBuffer;
	// nil: nobody asks.
	resized func(bytes int)

	idle, messageTimeout time.Duration
	// halfSince is when a message was first seen to be incomplete; zero where none
	// is. deadline is what the socket was last told.
	halfSince, deadline time.Time
}

// errStopped ends the reading of a connection that is being closed in order.
var errStopped = errors.New("rpc: reading has been stopped")

func newReader(nc net.Conn, l Limits, stop <-chan struct{}) *reader {
	return &reader{
		nc:             nc,
		stop:           stop,
		scan:           wire.Scanner{Limits: l.scan()},
		idle:           l.Idle,
		messageTimeout: l.MessageTimeout,
	}
}

// next returns the next message; it is valid until the next call. Errors of the
// scan wrap those of package wire, others are those of the connection.
func (r *reader) next() ([]byte, error) {
	for {
		need := 1
		if r.begin < r.end {
			if err := r.checkFirst(r.buf[r.begin]); err != nil {
				return nil, err
			}
			n, done, err := r.scan.Scan(r.buf[r.begin:r.end])
			if err != nil {
				return nil, err
			}
			if done {
				msg := r.buf[r.begin : r.begin+n : r.begin+n]
				r.begin += n
				r.halfSince = time.Time{}
				return msg, nil
			}
			need = n
		}
		if err := r.fill(need); err != nil {
			return nil, err
		}
	}
}

// rest returns what is left of the stream after an error of the scan.
func (r *reader) rest() []byte { return r.buf[r.begin:r.end] }

func (r *reader) checkFirst(b byte) error {
	if wire.ClassifyFirstByte(b) == wire.FirstMessage {
		r.started = true
		return nil
	}
	if !r.started {
		return &foreignError{first: b}
	}
	return fmt.Errorf("%w: a message begins with %#02x", wire.ErrMalformed, b)
}

// fill reads once, into a buffer that has room. need is the least length that the
// message at hand can have: the buffer follows it by doubling only, so that a
// length that is announced costs nothing until the bytes come.
func (r *reader) fill(need int) error {
	have := r.end - r.begin
	switch {
	case have == 0:
		r.begin, r.end = 0, 0
		if len(r.buf) > readBuffer {
			r.moveTo(make([]byte, smallBuffer))
		}
		if r.buf == nil {
			r.buf = make([]byte, smallBuffer)
		}
	case len(r.buf) > readBuffer && max(have, need) <= readBuffer/2:
		r.moveTo(make([]byte, readBuffer))
	case need > len(r.buf)-r.begin || len(r.buf)-r.end < len(r.buf)/4:
		r.makeRoom(have, need)
	}
	if err := r.setDeadline(have > 0); err != nil {
		return err
	}
	select {
	case <-r.stop: // checked after the deadline is set, for whoever closes stop sets one
		return errStopped
	default:
	}
	n, err := r.nc.Read(r.buf[r.end:])
	r.end += n
	if n > 0 {
		r.growForNext()
		return nil
	}
	return err
}

// makeRoom moves what is at hand to the front, of a longer buffer where half of
// the present one is full of it.
func (r *reader) makeRoom(have, need int) {
	if need > len(r.buf) && have >= len(r.buf)/2 {
		r.moveTo(make([]byte, 2*len(r.buf)))
	} else if r.begin > 0 {
		r.moveTo(r.buf)
	}
}

// growForNext gives a connection that fills its buffer a longer one.
func (r *reader) growForNext() {
	if r.end == len(r.buf) && len(r.buf) < readBuffer {
		r.moveTo(make([]byte, min(4*len(r.buf), readBuffer)))
	}
}

func (r *reader) moveTo(buf []byte) {
	n := copy(buf, r.buf[r.begin:r.end])
	before := len(r.buf)
	r.buf, r.begin, r.end = buf, 0, n
	if r.resized != nil && len(buf) != before && max(len(buf), before) > readBuffer {
		r.resized(len(buf))
	}
}

// setDeadline tells the socket how long to wait: for the rest of a message, or
// for the next one. It leaves the socket alone where nothing changes.
func (r *reader) setDeadline(half bool) error {
	var d time.Time
	switch {
	case half:
		if r.halfSince.IsZero() {
			r.halfSince = time.Now()
		}
		d = r.halfSince.Add(r.messageTimeout)
	case r.idle > 0:
		d = time.Now().Add(r.idle)
		if late := d.Sub(r.deadline); late >= 0 && late < r.idle/8 {
			return nil // near enough
		}
	}
	if d.Equal(r.deadline) {
		return nil
	}
	r.deadline = d
	return r.nc.SetReadDeadline(d)
}

// discard reads and drops what still comes, for lingerTime or lingerBytes at most.
func (r *reader) discard() {
	if r.nc.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	scratch := make([]byte, smallBuffer)
	for total := 0; total < lingerBytes; {
		n, err := r.nc.Read(scratch)
		if err != nil {
			return
		}
		total += n
	}
}
