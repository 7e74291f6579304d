// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/dyno-kv/dyno/gossip"
	"github.com/dyno-kv/dyno/kv"
)

// controlTendEvery is how often the small store of control records is looked after: it
// changes a few times in a life.
const controlTendEvery = time.Minute

// Run serves until ctx ends, then drains, leaves a clean mark and closes everything
// (I3, I4), and returns nil; or until a part fails, and returns why. A failed write or
// sync has storage.ErrFailed in the chain: the process should end (I5).
func (n *Node) Run(ctx context.Context) error {
	n.ran = true
	// Parts outlive ctx until the drain has passed them: each has a context of its own.
	ports, stopPorts := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPorts()
	links, stopLinks := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLinks()
	disk, stopDisk := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDisk()

	if err := n.peers.follow(n.cfg.Group.Ring()); err != nil {
		return errors.Join(err, n.closeAll())
	}
	n.followGossip()
	group, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	group.Go(func() error { return n.store.Run(disk) })
	group.Go(func() error { return n.tendControl(disk) })
	group.Go(func() error { return n.gossip.Run(links) })
	group.Go(func() error { return n.peers.run(links) })
	group.Go(func() error { return n.peers.probe(links, n.gossip.Alive) })
	group.Go(func() error { return n.watch(links) })
	group.Go(func() error { return n.confirm(links) })
	group.Go(func() error { return n.server.ServePeers(ports, n.peerPort) })
	group.Go(func() error { return n.server.ServeClients(ports, n.clientPort) })
	group.Go(func() error {
		defer stopDisk()
		defer stopLinks()
		defer stopPorts()
		select {
		case <-ctx.Done():
			n.drain()
		case <-failed.Done(): // no time to lose: the store may be failing
		}
		return nil
	})
	err := group.Wait()
	// Where a part has failed nothing was drained: the requests that were under way see
	// their connections' end and the store's, and must be gone before the store closes.
	n.server.Wait()
	n.drainSends()
	if err == nil {
		err = n.opening.leaveCleanMark(n.replica)
	}
	_ = n.cfg.Points.Hit(PointClose) // what is closed is closed anyway
	return errors.Join(err, n.closeAll())
}

// drainSends waits for what requests have left open, once no request is under way.
func (n *Node) drainSends() {
	bound, cancel := context.WithTimeout(context.Background(), n.cfg.DrainTimeout)
	defer cancel()
	if err := n.coordinator.Drain(bound); err != nil {
		n.log.Warn("drain cut short", zap.String("step", "sends"), zap.Error(err))
	}
}

// drain ends the parts' work from the outside in (I3). Each step has a bound; what
// is left open by then is cut off, and its clients hear of unknown outcomes.
func (n *Node) drain() {
	_ = n.cfg.Points.Hit(PointDrain) // it ends in any case
	n.log.Info("draining")
	n.draining.Store(true)
	n.tellState()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"clients", n.server.DrainClients},
		{"sends", n.coordinator.Drain},
		{"peers", n.server.DrainPeers},
		// Until now peers may have forwarded writes, whose sends are open after the answer.
		{"forwarded sends", n.coordinator.Drain},
	} {
		bound, cancel := context.WithTimeout(context.Background(), n.cfg.DrainTimeout)
		if err := step.do(bound); err != nil {
			n.log.Warn("drain cut short", zap.String("step", step.name), zap.Error(err))
		}
		cancel()
	}
}

// confirm asks the group about this opening until it has answered. Each attempt is
// bounded, so that a group which does not answer does not keep the store from serving
// what needs no group.
func (n *Node) confirm(ctx context.Context) error {
	last := kv.Verdict(0)
	for first := true; ; first = false {
		verdict, err := n.askGroup(ctx, first)
		switch {
		case err != nil:
			return fmt.Errorf("node: confirm this opening: %w", err)
		case ctx.Err() != nil:
			return nil
		case verdict == kv.VerdictUnknown && n.opening.refused:
			// Refused before: only the group itself may say otherwise.
		case verdict != last:
			_ = n.cfg.Points.Hit(PointJudged) // it has been judged, whoever fails
			n.replica.Confirm(verdict)
			n.tellState()
			last = verdict
		}
		if verdict != kv.VerdictUnknown {
			return nil
		}
		select {
		case <-time.After(n.cfg.ConfirmEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

// askGroup makes one attempt; only the first that fails is worth a warning.
func (n *Node) askGroup(ctx context.Context, first bool) (kv.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.ConfirmTimeout)
	defer cancel()
	log := n.log
	if !first {
		log = log.WithOptions(zap.IncreaseLevel(zap.ErrorLevel))
	}
	return n.opening.confirm(ctx, n.cfg.Group, log)
}

// tellState tells the others by gossip how this node is.
func (n *Node) tellState() {
	n.telling.Lock()
	defer n.telling.Unlock()
	status := n.replica.Status()
	switch {
	case n.draining.Load():
		n.gossip.SetState(gossip.StateDraining)
	case !status.Ready:
		n.gossip.SetState(gossip.StateNotReady)
	case !status.Confirmed:
		n.gossip.SetState(gossip.StateUnconfirmed)
	default:
		n.gossip.SetState(gossip.StateReady)
	}
}

// watch follows gossip: who is reachable again is dialed at once.
func (n *Node) watch(ctx context.Context) error {
	changed, stop := n.gossip.Watch()
	defer stop()
	for {
		n.peers.kick(n.gossip.Alive)
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// followGossip tells gossip whom the ring has, and the others which ring this is.
func (n *Node) followGossip() {
	current := n.cfg.Group.Ring()
	var registered []gossip.Peer
	for _, m := range current.Members() {
		registered = append(registered, gossip.Peer{ID: m.ID, Name: m.Name, GossipAddr: m.Gossip})
	}
	n.gossip.SetMembers(registered)
	n.gossip.SetRingVersion(current.Version())
}

// tendControl looks after the control records.
func (n *Node) tendControl(ctx context.Context) error {
	every := time.NewTicker(controlTendEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		if err := n.stores.Control.Tend(); err != nil {
			return err
		}
	}
}
