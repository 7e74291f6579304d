// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// witnessTry bounds one question to one member: it may have to write a record.
	witnessTry = time.Second
	// witnessRest is how often a sole voter that acts looks for members that it has not
	// asked yet, in units of the group's time.
	witnessRest = 10
)

// seekWitnesses has a sole voter show its openings to all other members: each remembers
// them durably, so that it can tell when the store is put back, and refuses them where it
// remembers a later one. Until all have answered the voter waits a while before it acts.
func (e *engine) seekWitnesses(ctx context.Context) error {
	var asked state.RaftID
	accepted := make(map[kv.NodeID]bool)
	for {
		rest := e.cfg.Tick
		if s := e.status.Load(); s.Sole {
			if s.Raft != asked {
				asked = s.Raft
				clear(accepted)
			}
			if e.askWitnesses(ctx, asked, accepted) {
				e.attested.Store(uint64(asked))
				rest *= witnessRest
			}
		}
		if !sleep(ctx, rest) {
			return nil
		}
	}
}

// askWitnesses asks all who have not accepted this seat yet, and reports whether nobody is
// left.
func (e *engine) askWitnesses(
	ctx context.Context, own state.RaftID, accepted map[kv.NodeID]bool,
) bool {
	if e.env.ask == nil {
		return true
	}
	all := true
	for _, node := range e.env.witnesses() {
		if !accepted[node] {
			accepted[node] = e.askWitness(ctx, own, node)
			all = all && accepted[node]
		}
	}
	return all
}

// askWitness shows this seat's openings to a member and reports whether it accepts them.
func (e *engine) askWitness(ctx context.Context, own state.RaftID, node kv.NodeID) bool {
	self, _ := e.links.showing()
	if self.raft != own {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, witnessTry)
	defer cancel()
	answer, err := e.env.ask(ctx, node, &wire.MetaHello{
		Raft: uint64(own), Term: self.term, Open: self.opens,
	})
	if err != nil {
		return false // it is not there, or was too busy to judge
	}
	if refuses(answer.Verdict) {
		e.tell(ctx, event{refused: &refusal{
			witness: true, own: own, verdict: answer.Verdict, lacks: answer.Open,
			why: fmt.Sprintf("member %d: %s", node, answer.Detail),
		}})
	}
	return answer.Verdict == kv.VerdictConfirmed
}

// refuses reports whether a verdict is that a store must not take part.
func refuses(v kv.Verdict) bool { return v == kv.VerdictForked || v == kv.VerdictLost }

// examine judges a seat's openings as if it had shown them here itself: what is accepted is
// remembered durably.
func (e *engine) examine(ctx context.Context, h *wire.MetaHello) (wire.MetaHello, error) {
	answer := make(chan wire.MetaHello, 1) // whoever answers does not wait
	c := &helloCall{
		hello:  wire.MetaHello{Raft: h.Raft, Term: h.Term, Open: h.Open},
		answer: func(a wire.MetaHello) { answer <- a },
	}
	if !e.offerHello(c) {
		return wire.MetaHello{}, errFull
	}
	select {
	case a := <-answer:
		return a, nil
	case <-ctx.Done():
		return wire.MetaHello{}, ctx.Err()
	}
}

// claims tells the loop what a member that tails this one says it has applied.
func (e *engine) claims(ctx context.Context, c claim) { e.tell(ctx, event{claim: &c}) }

// heedVerdict takes a member's word that it refuses this seat.
func (e *engine) heedVerdict(ctx context.Context, h *wire.MetaHello) {
	if refuses(h.Verdict) {
		e.tell(ctx, event{refused: &refusal{
			witness: true, own: state.RaftID(h.For), verdict: h.Verdict, why: h.Detail, lacks: h.Open,
		}})
	}
}
