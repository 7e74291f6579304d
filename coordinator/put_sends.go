// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/quorum"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/wire"
)

// ask sends the merged object to whomever the round names now: at first to every other
// member, and later to fallbacks, for those that failed or are late. It goes on after the
// client was answered, and neither the answer nor the client's deadline cancels a send
// (I2); all of them have one deadline, past which nobody else is asked.
func (w *put) ask() {
	now, asked := time.Now(), false
	for now.Before(w.sends) {
		target, more := w.round.Next()
		if !more {
			break
		}
		w.send(target, now)
		asked = true
	}
	if !asked || len(w.plan.spec.Fallbacks) == 0 {
		return // nobody could be asked in the place of who is late
	}
	if w.timer == nil {
		w.timer = time.NewTimer(w.try)
		w.late = w.timer.C
	} else {
		w.timer.Reset(w.try)
	}
}

// send sends one copy: to an owner the write, to a fallback a hint for an owner.
func (w *put) send(target quorum.Target, now time.Time) {
	times := &w.c.latenciesOf(target.Node).stores
	w.try = max(w.try, times.try(w.c.cfg.HintAfter))
	if err := w.c.hitSend(PointSend); err != nil {
		w.heard(target, wire.StoreReply{}, err)
		return
	}
	req := &wire.StoreRequest{
		Target: w.plan.target(target, w.sends.Sub(now).Milliseconds()), Role: target.Role,
		Class: kv.ClassClientWrite, Epoch: w.copy.epoch, Request: w.request,
		Object: w.copy.object, Raw: w.copy.raw,
	}
	done := func(reply wire.StoreReply, err error) {
		if err == nil {
			times.observe(time.Since(now))
		}
		w.heard(target, reply, err)
	}
	if target.Node != w.c.cfg.Node {
		w.c.peers.Store(target.Node, req, w.sends, done)
		return
	}
	w.c.local.Store(replica.StoreRequest{ // a fallback that coordinates keeps two hints
		StoreRequest: req, Deadline: w.sends, Done: func(reply wire.StoreReply) { done(reply, nil) },
	})
}

// heard hands over what became of a send.
func (w *put) heard(target quorum.Target, reply wire.StoreReply, err error) {
	w.events <- &writeEvent{
		kind: eventStored, target: target, reply: reply, err: err,
	}
}

// replace asks fallbacks in the place of those that have not answered within their time.
// Their answers count nevertheless.
func (w *put) replace() {
	w.try = 0
	for e := range w.round.Entries() {
		if e.Standing == quorum.StandingAsked {
			w.round.Late(e.Target)
		}
	}
	w.ask()
}

// ended reports that nothing of the write is awaited any more.
func (w *put) ended() bool { return w.committed && (!w.minted || !w.round.Open()) }

// letGo hands what is left of a write whose client was answered to a goroutine: owners
// that fail from now on want their hints too. It ends with the last of the sends, and
// Drain waits for it.
func (w *put) letGo() {
	if w.takeAll(); w.ended() && len(w.bare()) == 0 {
		w.rest()
		return
	}
	go func() {
		defer w.rest()
		for !w.ended() {
			select {
			case e := <-w.events:
				w.take(e)
			case <-w.late:
				w.replace()
			}
		}
		w.mark()
	}()
}

// rest ends a write of which nothing is awaited any more.
func (w *put) rest() {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.c.open.done(w.ticket)
}

// bare are the slots, of a write that has ended, whose members lack it although this node
// is an owner that has it, and for which no fallback keeps a hint.
func (w *put) bare() (slots []uint8) {
	if w.self.Role != kv.RoleOwner || !w.minted || w.commit.Code != wire.ReplicaOK {
		return nil
	}
	for i, slot := range w.plan.spec.Slots {
		if w.round.Bare(i) && slot != kv.Stable(w.c.cfg.Node) {
			slots = append(slots, uint8(i))
		}
	}
	return slots
}

// mark notes at this owner which slots are bare: where there are no fallbacks, or none that
// takes hints, nobody else would know. Nothing counts a marker, and nobody waits for it
// but Drain; what is not kept is left to anti-entropy.
func (w *put) mark() {
	for _, slot := range w.bare() {
		w.c.open.more(w.ticket) // a sync point waits for both
		w.c.local.Mark(w.plan.preference.Partition, slot, w.plan.bucket, w.plan.key,
			w.mint.Object.Context, func(bool) { w.c.open.done(w.ticket) })
	}
}
