// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"time"
)

// link is what both ends of a connection have in common: the socket, what is to be
// written to it, and how it ends. Its writer is the only one that writes.
type link struct {
	nc net.Conn
	// socket is what nc encrypts for, or nc: closing it never waits, while TLS would
	// say goodbye first.
	socket       net.Conn
	writeTimeout time.Duration
	hardUnsent   int

	// wake tells the writer that the outbox is not empty, or that the link is
	// closing. Size 1: a token that is there already says the same.
	wake chan struct{}
	// room tells the reader that a bound it waits for may have been left. Size 1
	// for the same reason.
	room chan struct{}
	// done is closed when the link has ended; cause says why.
	done chan struct{}
	// flushed is closed when the writer has sent the last byte it will send.
	flushed chan struct{}

	// mu guards what follows, and the calls of the end that embeds the link. It is
	// held for appending and counting, never over a wait.
	mu      sync.Mutex
	out     outbox
	cause   error
	closing closing
	// ended says that the writer has taken its last batch.
	ended bool
	// quiet reports that nothing more will be added to the outbox; nil: always.
	// It is called with mu held.
	quiet func() bool
}

// closing is when a link that is told to end does so.
type closing uint8

const (
	closingNot closing = iota
	// closingQuiet: when all open calls are answered and the answers written.
	closingQuiet
	// closingFlushed: when what is in the outbox is written.
	closingFlushed
)

func newLink(nc net.Conn, l Limits) *link {
	socket := nc
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok {
		socket = t.NetConn()
	}
	return &link{
		nc:           nc,
		socket:       socket,
		writeTimeout: l.WriteTimeout,
		hardUnsent:   hardUnsentFactor * l.Unsent,
		wake:         make(chan struct{}, 1),
		room:         make(chan struct{}, 1),
		done:         make(chan struct{}),
		flushed:      make(chan struct{}),
		out:          outbox{maxMessage: l.Message, chunk: l.Chunk},
	}
}

const (
	msgpackNil = 0xc0
	emptyArray = 0x90
)

// isClosed reports whether a channel that only ever gets closed is.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// appendValue appends what f does, or where that is nothing the value `none`: a
// message must never lack an element, or the whole connection ends.
func appendValue(dst []byte, f func(dst []byte) []byte, none byte) []byte {
	before := len(dst)
	if f != nil {
		dst = f(dst)
	}
	if len(dst) == before {
		return append(dst, none)
	}
	return dst
}

// signal leaves a token in a channel of size 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// fail ends the link at once; the first cause stays. It closes the socket, which
// ends the reader and the writer.
func (l *link) fail(cause error) {
	l.mu.Lock()
	first := l.cause == nil
	if first {
		l.cause = cause
		close(l.done)
	}
	l.mu.Unlock()
	if first {
		_ = l.socket.Close() // there is nothing to do about a socket that can not close
	}
}

// finish ends the link when the state that c names is reached.
func (l *link) finish(c closing) {
	l.mu.Lock()
	l.closing = max(l.closing, c)
	l.mu.Unlock()
	signal(l.wake)
}

// reason returns why the link ended; nil while it lives.
func (l *link) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

// writeLoop writes what is added to the outbox until the link ends. Each time it
// is woken it steps back once, so that all who are ready to add do so first: one
// write for many messages is what makes this cheap (PERFORMANCE, "Loopback RPC").
func (l *link) writeLoop() {
	for {
		select {
		case <-l.wake:
		case <-l.done:
			return
		}
		runtime.Gosched()
		for {
			b, last := l.takeBatch()
			if last {
				l.endWriting()
				return
			}
			if len(b.bytes) == 0 {
				break
			}
			if err := l.write(b.bytes); err != nil {
				l.fail(err)
				return
			}
			l.batchWritten(b)
		}
	}
}

// takeBatch returns what to write next; last says that there will be nothing more.
func (l *link) takeBatch() (b batch, last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.out.empty() {
		return l.out.take(), false
	}
	switch l.closing {
	case closingFlushed:
		l.ended = true
	case closingQuiet:
		l.ended = l.quiet == nil || l.quiet()
	}
	return batch{}, l.ended
}

func (l *link) batchWritten(b batch) {
	l.mu.Lock()
	l.out.written(b)
	l.mu.Unlock()
	signal(l.room)
}

// write hands the bytes over in pieces, each with a deadline of its own.
func (l *link) write(b []byte) error {
	for len(b) > 0 {
		piece := b[:min(len(b), writePiece)]
		b = b[len(piece):]
		if err := l.nc.SetWriteDeadline(time.Now().Add(l.writeTimeout)); err != nil {
			return err
		}
		if _, err := l.nc.Write(piece); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return ErrSlowConsumer
			}
			return err
		}
	}
	return nil
}

// endWriting tells the other side that no more comes. The reader then waits for it
// to close, see [reader.discard]: closing with bytes unread would reset the
// connection and might destroy the last answers on their way.
func (l *link) endWriting() {
	close(l.flushed)
	half, ok := l.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || l.nc.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		l.fail(ErrClosed)
	}
}
