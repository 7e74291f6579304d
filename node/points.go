// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"slices"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/server"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/transfer"
)

// The failpoints of a node's own life.
const (
	// PointOpening: an opening is about to be made durable, and the clean mark removed. An
	// error is a failed write. Of a store that existed it is passed in Open.
	PointOpening = "node/before-opening-record"
	// PointConfirm: an opening is durable, and the group about to be asked to confirm it.
	// An error is that of a group out of reach.
	PointConfirm = "node/before-confirm"
	// PointConfirmed: the group has confirmed an opening, and the store is about to note
	// that. An error is a failed write.
	PointConfirmed = "node/before-confirmed-record"
	// PointJudged: the store has been judged, and is about to act by it.
	PointJudged = "node/before-judged"
	// PointWord: an operator's word about a lost store is about to be made durable. An error
	// is a failed write, as in the other points of a rejoin but one.
	PointWord = "node/before-rejoin-word"
	// PointWipe: what the directory holds of the lost store is about to be removed.
	PointWipe = "node/before-wipe"
	// PointNewLife: the group is about to be asked for the store's new life. An error is that
	// of a group out of reach.
	PointNewLife = "node/before-new-life"
	// PointBegun: the group has given the new life, and it is about to be noted.
	PointBegun = "node/before-new-life-record"
	// PointFull: the group has said that the store is full, which is about to be noted.
	PointFull = "node/before-full-record"
	// PointDrain: the node was told to stop and is about to drain.
	PointDrain = "node/before-drain"
	// PointCleanMark: nothing of the store runs, and the clean mark is about to be written.
	// An error is a failed write.
	PointCleanMark = "node/before-clean-mark"
	// PointClose: the node has ended, with a clean mark where it ended in order, and is
	// about to close everything.
	PointClose = "node/before-close"
)

// Points lists the failpoints of a node and of all its parts.
func Points() []fail.Point {
	return slices.Concat([]fail.Point{
		{Name: PointOpening, Fails: true},
		{Name: PointConfirm, Fails: true},
		{Name: PointConfirmed, Fails: true},
		{Name: PointJudged},
		{Name: PointWord, Fails: true},
		{Name: PointWipe, Fails: true},
		{Name: PointNewLife, Fails: true},
		{Name: PointBegun, Fails: true},
		{Name: PointFull, Fails: true},
		{Name: PointDrain},
		{Name: PointCleanMark, Fails: true},
		{Name: PointClose},
	}, storage.Points(), replica.Points(), coordinator.Points(), transfer.Points(),
		server.Points())
}

// errInstruments refuses failpoints and tracers of one part: nobody could say whether the
// others were left out on purpose.
var errInstruments = errors.New("node: Points and Trace of Storage, Coordinator, Transfer and " +
	"Server are set by node; set those of node.Config, which go to all parts")

// checkInstruments reports what is wrong with failpoints and tracers.
func (c *Config) checkInstruments() error {
	if c.Storage.Points != nil || c.Storage.Trace != nil ||
		c.Coordinator.Points != nil || c.Coordinator.Trace != nil || c.Server.Points != nil ||
		c.Transfer.Points != nil || c.Transfer.Trace != nil {
		return errInstruments
	}
	return nil
}

// instrument hands the node's failpoints and tracer to the configs of its parts; what a
// part is given beside its config is given by whoever opens it.
func (c *Config) instrument() {
	c.Storage.Points, c.Storage.Trace = c.Points, c.Trace
	c.Coordinator.Points, c.Coordinator.Trace = c.Points, c.Trace
	c.Transfer.Points, c.Transfer.Trace = c.Points, c.Trace
	c.Server.Points = c.Points
}
