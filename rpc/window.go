// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/wire"
)

// errDraining says that a connection takes no new calls.
var errDraining = errors.New("rpc: draining")

// textDraining is what new calls are answered with while the server drains.
const textDraining = string(wire.CodeShuttingDown) + ": this node is draining"

// admit waits until the connection may have one more call, and opens it. The wait
// ends with the connection: the writer has a deadline, and so has each handler.
func (c *ServerConn) admit(id uint64) error {
	for {
		if ok, err := c.tryAdmit(id); ok || err != nil {
			return err
		}
		select {
		case <-c.room:
		case <-c.done:
			return c.reason()
		}
	}
}

// awaitOutbox waits until one more answer may be added to the outbox, for one that takes
// no place in the window: whoever reads no answers must not be read either.
func (c *ServerConn) awaitOutbox() error {
	for !c.outboxHasRoom() {
		select {
		case <-c.room:
		case <-c.done:
			return c.reason()
		}
	}
	return nil
}

func (c *ServerConn) outboxHasRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.unsent < c.srv.cfg.Limits.Unsent
}

func (c *ServerConn) tryAdmit(id uint64) (ok bool, err error) {
	limits := &c.srv.cfg.Limits
	window := limits.InFlight
	if c.Restricted() {
		window = 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, twice := c.open[id]; twice {
		return false, fmt.Errorf("%w: msgid %d is in flight already", ErrProtocol, id)
	}
	switch {
	case c.out.unsent >= limits.Unsent: // refusals are answers too
		return false, nil
	case c.closing != closingNot:
		return false, errDraining
	case c.window >= window:
		return false, nil
	}
	c.open[id] = struct{}{}
	c.window++
	return true, nil
}

func (c *ServerConn) park(call *Call) bool {
	c.mu.Lock()
	ok := !call.parked && c.parked < c.srv.cfg.Limits.Parked
	if ok {
		call.parked = true
		c.window--
		c.parked++
	}
	c.mu.Unlock()
	if ok {
		signal(c.room)
	}
	return ok
}

// send adds a message of this package's own.
func (c *ServerConn) send(encode func(dst []byte) []byte) {
	c.mu.Lock()
	c.addLocked(encode)
	c.mu.Unlock()
	signal(c.wake)
}

// answer closes a call and adds what it is answered with.
func (c *ServerConn) answer(call *Call, appendResult func(dst []byte) []byte) {
	c.mu.Lock()
	delete(c.open, call.id)
	err := c.addLocked(func(dst []byte) []byte {
		return appendValue(wire.AppendResponseHeader(dst, call.id), appendResult, msgpackNil)
	})
	if err != nil {
		c.addLocked(func(dst []byte) []byte {
			text := wire.FormatError(wire.CodeTooLarge, "the answer: "+err.Error())
			return wire.AppendErrorResponse(dst, call.id, text)
		})
	}
	c.closeCall(call)
}

func (c *ServerConn) answerError(call *Call, text string) {
	c.mu.Lock()
	delete(c.open, call.id)
	c.addLocked(func(dst []byte) []byte {
		return wire.AppendErrorResponse(dst, call.id, text)
	})
	c.closeCall(call)
}

// closeCall ends what answer began; it is called with mu held and releases it.
func (c *ServerConn) closeCall(call *Call) {
	if call.parked {
		c.parked--
	} else {
		c.window--
	}
	behind := c.out.unsent > c.hardUnsent
	recount := c.held() > c.counted
	c.mu.Unlock()
	signal(c.wake)
	signal(c.room)
	if behind {
		c.fail(ErrSlowConsumer)
	}
	if recount {
		c.count()
	}
}

// addLocked adds to the outbox, unless nobody will write it any more.
func (c *ServerConn) addLocked(encode func(dst []byte) []byte) error {
	if c.cause != nil || c.ended {
		return nil
	}
	_, err := c.out.add(encode)
	return err
}
