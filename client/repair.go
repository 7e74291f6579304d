// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// What a node tells of its comparisons with the other owners of its partitions.
type (
	// RepairStatus is how they stand.
	RepairStatus = wire.RepairStatusResult
	// RepairBehind is a partition whose owners are not known to hold the same.
	RepairBehind = wire.RepairBehind
	// RepairState is how a comparison ended; a later release may have others.
	RepairState = wire.RepairState
	// ScrubStatus is how far a node is with reading its own records again.
	ScrubStatus = wire.ScrubStatus
	// TreeStatus tells of a node's trees.
	TreeStatus = wire.TreeStatus
	// Contents is what a node's own copies of its partitions hold.
	Contents = wire.RingPartitionsResult
	// PartitionContents is what its copy of one partition holds.
	PartitionContents = wire.PartitionContents
	// RefillStatus is how far a node is with filling its store, which was lost.
	RefillStatus = wire.RefillStatus
	// RefillPhase is what is done for it now; a later release may have others.
	RefillPhase = wire.RefillPhase
)

// MaxRepairPause is the longest pause of RepairPause.
const MaxRepairPause = wire.MaxPauseMS * time.Millisecond

// RepairStatus asks a node how its comparisons with other owners stand. Each node answers
// for itself: [WithEndpoint] chooses which.
func (c *Client) RepairStatus(ctx context.Context, opts ...Option) (RepairStatus, error) {
	return c.repair(ctx, wire.MethodRepairStatus, opts)
}

// RepairRun has a node begin a round, in which it compares all of its partitions with their
// other owners anew. It goes on without whoever asked for it; the status has its number.
// Where an attempt was lost, two may have begun: the later one is as good.
func (c *Client) RepairRun(ctx context.Context, opts ...Option) (RepairStatus, error) {
	return c.repair(ctx, wire.MethodRepairRun, opts)
}

func (c *Client) repair(ctx context.Context, method string, opts []Option) (RepairStatus, error) {
	q, err := c.plain(ctx, method, opts)
	if err != nil {
		return RepairStatus{}, err
	}
	q.feature = wire.FeatureRepair
	return ask(ctx, c, q, wire.DecodeRepairStatusResult)
}

// RepairWait waits until a round of a node is done, as long as the request may take, and
// returns how far it is. A node that has started again knows of no earlier rounds: the
// status then has another number, and another round is to be begun.
func (c *Client) RepairWait(
	ctx context.Context, round uint64, opts ...Option,
) (RepairStatus, error) {
	var o options
	if why := o.fold(opts, optAny); why != "" {
		return RepairStatus{}, invalidError(wire.MethodRepairWait, "", nil, why)
	}
	q := &call{
		method: wire.MethodRepairWait, op: wire.OpRead, again: true, parks: true,
		endpoint: o.endpoint, deadline: c.deadline(ctx, &o), feature: wire.FeatureRepair,
	}
	q.try = time.Until(q.deadline)
	q.encode = func(dst []byte) []byte {
		return wire.AppendRepairWaitRequest(dst, &wire.RepairWaitRequest{
			Common: wire.Common{TimeoutMS: q.timeoutMS, Trace: o.trace}, Round: round,
		})
	}
	return ask(ctx, c, q, wire.DecodeRepairStatusResult)
}

// RepairPause has a node compare, repair and scrub nothing for a while, 1 ms to
// MaxRepairPause. What others begin with it goes on, and a restart ends it.
func (c *Client) RepairPause(ctx context.Context, d time.Duration, opts ...Option) error {
	var o options
	why := o.fold(opts, optAny)
	if ms := d.Milliseconds(); why == "" && (ms < 1 || d > MaxRepairPause) {
		why = fmt.Sprintf("a pause is 1 ms to %v", MaxRepairPause)
	}
	if why != "" {
		return invalidError(wire.MethodRepairPause, "", nil, why)
	}
	q := &call{
		method: wire.MethodRepairPause, op: wire.OpRead, again: true, endpoint: o.endpoint,
		deadline: c.deadline(ctx, &o), feature: wire.FeatureRepair,
	}
	q.encode = func(dst []byte) []byte {
		return wire.AppendRepairPauseRequest(dst, &wire.RepairPauseRequest{
			Common: wire.Common{TimeoutMS: q.timeoutMS, Trace: o.trace},
			ForMS:  uint32(d.Milliseconds()),
		})
	}
	_, err := ask(ctx, c, q, decodeEmpty)
	return err
}

// RepairResume ends a pause.
func (c *Client) RepairResume(ctx context.Context, opts ...Option) error {
	q, err := c.plain(ctx, wire.MethodRepairResume, opts)
	if err != nil {
		return err
	}
	q.feature = wire.FeatureRepair
	_, err = ask(ctx, c, q, decodeEmpty)
	return err
}

// RingPartitions asks a node how many keys and tombstones its own copies of its partitions
// have. Each node answers for itself: [WithEndpoint] chooses which. What a node has not
// counted, for it has just started or is not ready, is not known, and not 0.
func (c *Client) RingPartitions(ctx context.Context, opts ...Option) (Contents, error) {
	q, err := c.plain(ctx, wire.MethodRingPartitions, opts)
	if err != nil {
		return Contents{}, err
	}
	q.feature = wire.FeatureRepair
	return ask(ctx, c, q, wire.DecodeRingPartitionsResult)
}

// RepairAcceptLoss is an operator's word about the refill of a node's store, in the life of
// that number: what no intact owner has is lost, and the owners named in without are not
// waited for. [WithEndpoint] chooses the node. It is refused where nothing would be lost, and
// for owners that answer. Repeated it changes nothing.
func (c *Client) RepairAcceptLoss(
	ctx context.Context, life uint64, without []string, opts ...Option,
) error {
	var o options
	why := o.fold(opts, optAny)
	if why == "" && len(without) > wire.MaxList {
		why = fmt.Sprintf("at most %d owners", wire.MaxList)
	}
	if why != "" {
		return invalidError(wire.MethodRepairAcceptLoss, "", nil, why)
	}
	q := &call{
		method: wire.MethodRepairAcceptLoss, op: wire.OpWrite, again: true, endpoint: o.endpoint,
		deadline: c.deadline(ctx, &o), feature: wire.FeatureRepair,
	}
	q.encode = func(dst []byte) []byte {
		return wire.AppendAcceptLossRequest(dst, &wire.AcceptLossRequest{
			Common:   wire.Common{TimeoutMS: q.timeoutMS, Trace: o.trace},
			Instance: kv.Instance(life), Without: without,
		})
	}
	_, err := ask(ctx, c, q, decodeEmpty)
	return err
}
