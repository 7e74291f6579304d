// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

// What nodes keep for members that missed it.
type (
	// HintsStatus is what all nodes keep for others.
	HintsStatus = wire.HintsStatusResult
	// HintsNode is one node's part of that.
	HintsNode = wire.HintsNode
	// HintsBacklog is what a node keeps for one member.
	HintsBacklog = wire.HintsBacklog
	// HintsProgress is how far a wait for hints is.
	HintsProgress = wire.HintsWaitResult
	// HintsStuck is how many hints a node can not deliver.
	HintsStuck = wire.HintsStuck
)

// ErrHintsDamaged: all that is left to deliver are hints that can not be read, and are kept.
var ErrHintsDamaged = errors.New("client: hints that can not be read are left")

// hintsWaitTry is how long one request of a wait for hints lasts, so that its caller hears
// how far it is.
const hintsWaitTry = 2 * time.Second

// HintsStatus asks what all nodes keep for members that missed it. Any node can be asked; it
// asks the others.
func (c *Client) HintsStatus(ctx context.Context, opts ...Option) (HintsStatus, error) {
	q, err := c.plain(ctx, wire.MethodHintsStatus, opts)
	if err != nil {
		return HintsStatus{}, err
	}
	q.feature = wire.FeatureHints
	return ask(ctx, c, q, wire.DecodeHintsStatusResult)
}

// HintsWait waits until all hints, markers and open sends that are older than the call are
// where they belong, on all nodes: what was acknowledged before is then on every owner. It
// ends with ctx; WithTimeout bounds each of the questions that it asks meanwhile, and not the
// whole. progress, where it is not nil, is told of each answer, the last one too.
//
// While a node is down the wait can not end. What it waits for goes on without it. Where
// nothing is left but hints that can not be read it returns ErrHintsDamaged, with the nodes
// that keep them: somebody has to look.
func (c *Client) HintsWait(
	ctx context.Context, progress func(HintsProgress), opts ...Option,
) error {
	var o options
	if why := o.fold(opts, optAny); why != "" {
		return invalidError(wire.MethodHintsWait, "", nil, why)
	}
	var point []byte
	for {
		got, err := c.hintsWait(ctx, &o, point)
		if err != nil {
			return err
		}
		if progress != nil {
			progress(got)
		}
		if got.Done {
			return nil
		}
		if len(got.Stuck) > 0 {
			return stuckError(got.Stuck)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		point = got.Point
	}
}

func stuckError(at []HintsStuck) error {
	var said []string
	for _, s := range at {
		said = append(said, fmt.Sprintf("%d at %s", s.Damaged, s.Node))
	}
	return fmt.Errorf("%w: %s", ErrHintsDamaged, strings.Join(said, ", "))
}

// hintsWait asks once.
func (c *Client) hintsWait(
	ctx context.Context, o *options, point []byte,
) (HintsProgress, error) {
	q := &call{
		method: wire.MethodHintsWait, op: wire.OpRead, again: true, parks: true,
		endpoint: o.endpoint, deadline: c.deadline(ctx, o), feature: wire.FeatureHints,
	}
	q.try = min(time.Until(q.deadline), hintsWaitTry)
	q.encode = func(dst []byte) []byte {
		return wire.AppendHintsWaitRequest(dst, &wire.HintsWaitRequest{
			Common: wire.Common{TimeoutMS: q.timeoutMS, Trace: o.trace}, Point: point,
		})
	}
	return ask(ctx, c, q, wire.DecodeHintsWaitResult)
}
