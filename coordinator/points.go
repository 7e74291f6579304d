// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"fmt"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/wire"
)

// The failpoints of a coordinator, all passed by a request's own goroutine. An error at
// one that stands before a message is that of a message which certainly never left.
const (
	// PointSend: a write is about to be sent to one of its other members, or to a fallback.
	PointSend = "coordinator/before-send"
	// PointAcknowledge: a write has its quorum and is about to be answered. An error tells
	// the client that it has none.
	PointAcknowledge = "coordinator/before-acknowledge"
	// PointAsk: one of the other members is about to be asked for its copy.
	PointAsk = "coordinator/before-ask"
	// PointReadAnswer: a read is about to be answered. An error tells the client that it
	// has no quorum.
	PointReadAnswer = "coordinator/before-read-answer"
	// PointRepair: a member that is behind is about to be sent what a read found. A repair
	// is help, not duty: it may be left out.
	PointRepair = "coordinator/before-repair"
	// PointWriteBack: a member is about to be sent what an atomic read found.
	PointWriteBack = "coordinator/before-write-back"
	// PointForward: a write is about to be handed to an owner.
	PointForward = "coordinator/before-forward"
)

// Points lists the failpoints of a coordinator.
func Points() []fail.Point {
	return []fail.Point{
		{Name: PointSend, Fails: true},
		{Name: PointAcknowledge, Fails: true},
		{Name: PointAsk, Fails: true},
		{Name: PointReadAnswer, Fails: true},
		{Name: PointRepair, Drops: true},
		{Name: PointWriteBack, Fails: true},
		{Name: PointForward, Fails: true},
	}
}

// hitSend passes a point before a message.
func (c *Coordinator) hitSend(point string) error {
	if err := c.cfg.Points.Hit(point); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	return nil
}

// hitAnswer passes a point before a client is answered.
func (c *Coordinator) hitAnswer(point string) error {
	if err := c.cfg.Points.Hit(point); err != nil {
		return &Error{Code: wire.CodeQuorum, Text: err.Error(), Err: err}
	}
	return nil
}
