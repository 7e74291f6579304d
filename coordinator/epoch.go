// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/quorum"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// againFirst is the pause before a copy that was refused as of an old purge epoch is read
	// again; it doubles. Members adopt an epoch within a round's step of each other.
	againFirst = 20 * time.Millisecond
	// againTries bounds how often: after 1.3 s something else is wrong.
	againTries = 6
)

// stamped says under which purge epoch a node has read what it answered.
type stamped struct {
	node  kv.NodeID
	epoch kv.PurgeEpoch
}

// sameEpoch notes the highest purge epoch that this read has met, and reports whether all
// copies were read under it. Those below must not be merged, and without them the others
// are no quorum: the read starts over, and asks the replicas behind last (I5).
func (p *plan) sameEpoch(counted []stamped) bool {
	for _, c := range counted {
		p.epoch = max(p.epoch, c.epoch)
	}
	for _, c := range counted {
		if c.epoch < p.epoch {
			p.leaveBehind(counted)
			return false
		}
	}
	return true
}

// leaveBehind lets the next round ask those last whose copies are below the epoch, this node
// too: they may not adopt it before they hear of it again.
func (p *plan) leaveBehind(counted []stamped) {
	for _, c := range counted {
		if c.epoch == p.epoch {
			continue
		}
		if p.spec.Self == c.node {
			p.spec.Self = 0 // else it is asked first whatever is suspected of it
		}
		if !p.suspects(c.node) {
			p.spec.Suspects = append(p.spec.Suspects, c.node)
		}
	}
}

// sending is what a write sends to others.
type sending struct {
	object kv.Object
	raw    []byte
	epoch  kv.PurgeEpoch
	again  map[quorum.Target]int // how often each was refused as of an old epoch
}

// again has a copy that was refused as of an old purge epoch read and sent again, after a
// pause (TRAPS S11). It reports false where that can not help, or has been tried enough. A
// fallback that coordinates reads nothing newer: what it holds is of the epoch of its hints.
func (w *put) again(e *writeEvent) bool {
	tried := w.copy.again[e.target]
	pause := againFirst << tried
	if e.err != nil || e.reply.Code != wire.ReplicaStaleEpoch || w.self.Role != kv.RoleOwner ||
		tried >= againTries || !time.Now().Add(pause).Before(w.sends) {
		return false
	}
	if w.copy.again == nil {
		w.copy.again = make(map[quorum.Target]int)
	}
	w.copy.again[e.target]++
	// The event takes the place of the answer that it follows: there is room for it (I7). Until
	// it comes the round is open, and the write with it.
	time.AfterFunc(pause, func() {
		w.events <- &writeEvent{kind: eventAgain, target: e.target, reply: e.reply}
	})
	return true
}

// resend reads what this node holds of the key by now, and sends that. What it answers was
// refused, and is the end of it where there is nothing newer to send.
func (w *put) resend(e *writeEvent) {
	now := time.Now()
	if w.copy.epoch < e.reply.Epoch {
		got := w.c.local.Read(&wire.ReadRequest{
			Target: w.plan.target(w.self, w.sends.Sub(now).Milliseconds()), Mode: wire.ReadFull,
		})
		// Not before the commit does it hold the write, nor after another round took it away.
		if got.Code == wire.ReplicaOK && got.Object.Context.Contains(w.mint.Dot) {
			w.copy.object, w.copy.raw, w.copy.epoch = got.Object, got.Raw, got.Epoch
		}
	}
	switch {
	case w.copy.epoch >= e.reply.Epoch:
		w.send(e.target, now)
	case !w.again(e):
		w.round.Add(stored(e.target, e.reply, nil))
	}
}

// rested waits before a page is read again, or returns false where the time is over.
func rested(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
