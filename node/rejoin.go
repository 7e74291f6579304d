// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// errWordOver says that an operator's word was given about a life that is over by now:
// another directory has taken its place since.
var errWordOver = errors.New("node: the store that was called lost is not the present one any more")

// errAskAgain: the group could not be asked, or has given no answer.
var errAskAgain = errors.New("node: the group has not answered")

// tryRejoin begins a new life of the store where that is wanted, and reports whether it has
// to be tried again. The error is this node's own.
func (n *Node) tryRejoin(ctx context.Context, m *membership) (again bool, err error) {
	if n.isSettled() || !n.rejoins(m) {
		return false, nil
	}
	err = n.rejoin(ctx, m)
	switch {
	case err == nil:
		return false, nil
	case ctx.Err() != nil:
		return true, nil
	case errors.Is(err, errAskAgain):
		n.log.Warn("no new life of the store yet", zap.Error(err))
		return true, nil
	case !errors.Is(err, errWordOver):
		return false, fmt.Errorf("node: rejoin: %w", err)
	}
	n.log.Error("the operator's word is over", zap.Error(err))
	m.opening.life.Word = wire.RejoinWord{}
	if err := m.opening.refuse(); err != nil {
		return false, err
	}
	return n.cfg.Rejoin, nil // where it was given to this process, it is given again
}

// rejoins reports whether this directory is to begin a new life of the node's store: by an
// operator's word that stands in it, or one that was given now to a refused one.
func (n *Node) rejoins(m *membership) bool {
	return m.meta != nil && (m.opening.life.Word.For != kv.Open{} ||
		n.cfg.Rejoin && m.opening.refused)
}

// rejoin begins the new life (docs/adr/0022). Each step is durable before the next, and
// taken again by the next process if this one ends.
func (n *Node) rejoin(ctx context.Context, m *membership) error {
	o := m.opening
	ctx, cancel := context.WithTimeout(ctx, n.cfg.RejoinTimeout)
	defer cancel()
	if o.life.Word.For == (kv.Open{}) {
		previous, alone, err := instanceOf(ctx, m)
		if err != nil {
			return err
		}
		if alone > 0 && n.stores.Data.MaxVersion() != 0 {
			return fmt.Errorf("%w: of %d partitions no other owner is intact, so that nothing is "+
				"removed; bring one back, or delete the directory first", ErrOnlyCopy, alone)
		}
		n.log.Warn("an operator says that this node's store is lost; what this directory holds of "+
			"it is removed", zap.Uint64("instance", uint64(previous)))
		o.life.Word = wire.RejoinWord{Previous: previous, For: o.past.Present()}
		o.refused = true
		if err := n.cfg.Points.Hit(PointWord); err != nil {
			return err
		}
		if err := o.write(false); err != nil {
			return err
		}
	}
	if !o.life.Word.Wiped {
		if err := n.wipe(ctx, o); err != nil {
			return err
		}
	}
	word := o.life.Word
	var r state.Result
	err := n.cfg.Points.Hit(PointNewLife)
	if err == nil {
		r, err = m.meta.Do(ctx, state.NewInstance{
			Node: m.identity.Node, Previous: word.Previous, For: word.For,
		})
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errAskAgain, err)
	case r.Code == state.CodeRefused:
		return fmt.Errorf("%w: %s", errWordOver, r.Detail)
	case r.Code != state.CodeOK:
		return fmt.Errorf("%w: it gives no new instance: %s", errAskAgain, r.Detail)
	}
	if err := n.cfg.Points.Hit(PointBegun); err != nil {
		return err
	}
	o.begun(r.Member)
	if err := o.write(false); err != nil {
		return err
	}
	n.log.Info("the store begins a new life", zap.Uint64("instance", uint64(o.life.Instance)))
	n.tellPhase(o.life.Instance, trace.PhaseFilling)
	return nil
}

// instanceOf asks the group for the present instance of this node's store, and of how many of
// its partitions no other owner is intact.
func instanceOf(ctx context.Context, m *membership) (instance kv.Instance, alone int, err error) {
	if _, err := m.meta.Barrier(ctx); err != nil {
		return 0, 0, fmt.Errorf("%w: %w", errAskAgain, err)
	}
	m.meta.Read(func(s *state.State) {
		if s != nil {
			if member, found := s.Member(m.identity.Node); found {
				instance, alone = member.Instance, len(s.Alone(m.identity.Node))
			}
		}
	})
	if instance == 0 {
		err = fmt.Errorf("%w: %w", errAskAgain, errNotRegistered)
	}
	return instance, alone, err
}

// wipe removes what the directory holds of the lost store.
func (n *Node) wipe(ctx context.Context, o *opening) error {
	if err := n.cfg.Points.Hit(PointWipe); err != nil {
		return err
	}
	if err := storage.Wipe(ctx, n.stores.Data); err != nil {
		return err
	}
	cfg := n.cfg.Storage
	cfg.FreeBytes = n.stores.FreeBytes
	store, err := storage.Open(cfg, n.stores.Data, n.log.Named("storage"))
	if err != nil {
		return err
	}
	n.store = store // nothing has used the other one
	records := []storage.ControlRecord{{Key: wire.KeyRefill}}
	err = n.stores.Control.Each(wire.PrefixPurges, func(key string, _ []byte) error {
		records = append(records, storage.ControlRecord{Key: key})
		return nil
	})
	if err == nil {
		err = n.stores.Control.Apply(records...)
	}
	if err != nil {
		return fmt.Errorf("node: forget the lost store: %w", err)
	}
	o.life.Word.Wiped = true
	return o.write(false)
}

// begun notes the new life. Nothing of the one before goes on: no incarnation, no tree. The
// openings stay, which others read meanwhile: they tell who this process is.
func (o *opening) begun(m *state.Member) {
	o.life = wire.Life{Instance: m.Instance, Filling: m.Refill.Active()}
	o.born, o.refused = o.life, false
	past := &o.past
	past.Stop, past.Filling = replica.StopNone, o.life.Filling
	past.Marks, past.Stamp, past.Trees, past.Purges = nil, 0, nil, nil
}

// tellPhase tells checkers which phase of its life the store is in, as the group has committed.
func (n *Node) tellPhase(life kv.Instance, phase uint64) {
	n.cfg.Trace.Emit(trace.Event{
		Kind: trace.PhaseCommitted, Value: uint64(life), Counter: phase,
	})
}

// settle lets data be opened at once, but for a node that may begin a new life first.
func (n *Node) settle(context.Context) error {
	m := n.membership.Load()
	if !n.cfg.Rejoin && (m == nil || m.opening.life.Word.For == kv.Open{}) {
		close(n.settled)
	}
	return nil
}

// settleNow is called by confirm alone.
func (n *Node) settleNow() {
	if !n.isSettled() {
		close(n.settled)
	}
}

func (n *Node) isSettled() bool {
	select {
	case <-n.settled:
		return true
	default:
		return false
	}
}
