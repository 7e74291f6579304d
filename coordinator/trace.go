// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
)

// traceAcknowledged tells of a write that is about to be answered with success.
func (c *Coordinator) traceAcknowledged(w *put) {
	if !c.cfg.Trace.Enabled() {
		return
	}
	c.cfg.Trace.Emit(trace.Event{
		Kind: trace.Acknowledged, Bucket: uint32(w.plan.bucket),
		Partition: uint32(w.plan.preference.Partition), Key: w.plan.key,
		Actor: uint64(w.mint.Dot.Actor), Counter: w.mint.Dot.Counter,
		Value: uint64(w.round.Tally().Got), Need: uint16(w.plan.spec.Need),
		Request: w.req.Request[:],
	})
}

// traceRead tells of a read that is about to be answered, by replicas that count.
func (c *Coordinator) traceRead(p *plan, o *kv.Object, replicas int) {
	if !c.cfg.Trace.Enabled() {
		return
	}
	c.cfg.Trace.Emit(trace.Event{
		Kind: trace.ReadAnswered, Bucket: uint32(p.bucket),
		Partition: uint32(p.preference.Partition), Key: p.key,
		Value: uint64(replicas), Counter: uint64(len(o.Versions)),
	})
}
