// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/transfer"
	"github.com/dyno-kv/dyno/wire"
)

// phaseWait is before there is a filler: this node's copy of the group's state is behind.
const phaseWait = "wait"

// refillLook is how often a wait for the end of a refill looks.
const refillLook = 100 * time.Millisecond

// refillStatus tells how far this node is with filling its store; nil where it is not to be
// filled, or is full.
func (d *data) refillStatus() *wire.RefillStatus {
	if d.refilling == nil || !d.replica.Filling() {
		return nil
	}
	told := &wire.RefillStatus{Instance: d.member.Instance, Phase: phaseWait}
	var s transfer.Status
	if f := d.filler.Load(); f != nil {
		s = f.Status()
		told.Phase, told.Source = wire.RefillPhase(s.Phase), d.nameOf(s.Source)
		told.Done, told.Partitions = uint64(s.Copied), uint64(s.Partitions)
		told.Pairs, told.Copied = uint64(s.Pairs), uint64(s.PairsCopied)
		told.Keys, told.Reason = s.Keys, strings.ReplaceAll(s.Why, "transfer: ", "")
	}
	for _, source := range s.Sources {
		told.Sources = append(told.Sources, d.nameOf(source.Node))
	}
	r := d.refilling
	r.read(func(group *state.State, m *state.Member) {
		missing := group.MissingSources(m.ID, s.Sources)
		told.Missing = d.namesOf(missing)
		told.Accepted, told.Without = m.Refill.Accepted, d.namesOf(m.Refill.Without)
		reached := slices.Clone(s.Sources)
		for _, id := range missing {
			reached = append(reached, ring.Source{Node: id})
		}
		told.Lost = group.Orphaned(m.ID, reached)
	})
	return told
}

func (d *data) nameOf(id kv.NodeID) string {
	m, _ := d.refilling.m.group.Ring().Member(id)
	return m.Name // none of nobody
}

func (d *data) namesOf(ids []kv.NodeID) (names []string) {
	for _, id := range ids {
		names = append(names, d.nameOf(id))
	}
	return names
}

// refillReason says for people how far the refill is, and what it waits for; "" where there
// is none.
func (d *data) refillReason() string {
	s := d.refillStatus()
	if s == nil {
		return ""
	}
	text := "its data was lost, and is being filled: "
	switch {
	case len(s.Lost) > 0 && !s.Accepted:
		return text + fmt.Sprintf("of %d partitions no intact owner is left; bring one back, or see "+
			"'dyno repair accept-loss'", len(s.Lost))
	case s.Reason != "" && len(s.Missing) > 0:
		return text + fmt.Sprintf("it waits for %s: %s", strings.Join(s.Missing, ", "),
			strings.ReplaceAll(s.Reason, "\n", "; "))
	case s.Reason != "":
		return text + s.Reason
	case s.Source == "":
		return text + string(s.Phase)
	default:
		return text + fmt.Sprintf("%s %s, %d of %d partitions", s.Phase, s.Source, s.Done,
			s.Partitions)
	}
}

// awaitFull waits until the store is full, or ctx ends.
func (d *data) awaitFull(ctx context.Context) {
	for d.refilling != nil && d.replica.Filling() {
		select {
		case <-time.After(refillLook):
		case <-ctx.Done():
			return
		}
	}
}

// refuseWord is what an operator is told whose word is none.
func refuseWord(format string, args ...any) error {
	return &coordinator.Error{Code: wire.CodeInvalid, Text: fmt.Sprintf(format, args...)}
}

// AcceptLoss implements server.Repairs.
func (r repairs) AcceptLoss(ctx context.Context, q *wire.AcceptLossRequest) error {
	d := r.data
	if d.refilling != nil && !d.replica.Filling() && q.Instance == d.member.Instance {
		return nil // a word that comes again: its answer was lost
	}
	without, err := d.checkLoss(q)
	if err != nil {
		return err
	}
	result, err := d.refilling.m.meta.Do(ctx, state.AcceptLoss{
		Node: d.member.ID, Instance: q.Instance, Without: without,
	})
	if err == nil && result.Code != state.CodeOK {
		err = refuseWord("%s", result.Detail)
	}
	return err
}

// checkLoss refuses a word that gives up what somebody still has, or nothing at all. What
// changes until the word is committed does no harm: whoever is intact and not given up is
// waited for and copied, whatever was accepted.
func (d *data) checkLoss(q *wire.AcceptLossRequest) (without []kv.NodeID, err error) {
	s := d.refillStatus()
	switch {
	case s == nil:
		return nil, refuseWord("the store of %s is not being filled: there is no loss to accept",
			d.member.Name)
	case q.Instance != s.Instance:
		return nil, refuseWord("the store of %s is in life %d, the word is about life %d",
			d.member.Name, s.Instance, q.Instance)
	}
	current := d.refilling.m.group.Ring()
	for _, name := range q.Without {
		m, known := current.MemberByName(name)
		switch {
		case !known:
			return nil, refuseWord("there is no member %q", name)
		case slices.Contains(s.Without, name):
		case !slices.Contains(s.Missing, name):
			return nil, refuseWord("%s is not waited for", name)
		case d.alive(m.ID):
			return nil, refuseWord("%s is there, and what it has is copied; if that can not be, stop "+
				"it first", name)
		}
		without = append(without, m.ID)
	}
	if len(without) > 0 || len(s.Lost) > 0 {
		return without, nil
	}
	if len(s.Missing) > 0 {
		return nil, refuseWord("every partition of %s has an intact owner, and %s is still to be "+
			"copied: start it; one whose data is lost too can be started with --rejoin, or be given "+
			"up by its name", d.member.Name, strings.Join(s.Missing, ", "))
	}
	return nil, refuseWord("every partition of %s has an intact owner that was copied: it is full "+
		"soon", d.member.Name)
}
