// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/dyno-kv/dyno/gossip"
	"github.com/dyno-kv/dyno/meta"
)

// controlTendEvery is how often the small store of control records is looked after: it
// changes a few times in a life.
const controlTendEvery = time.Minute

// Run serves until ctx ends, then drains, leaves a clean mark and closes everything
// (I3, I4), and returns nil; or until a part fails, and returns why. A failed write or
// sync has storage.ErrFailed in the chain: the process should end (I5).
//
// With meta.ErrStalled in the chain Run returns while parts of the node still stand in a
// write that may never end: the process must end.
func (n *Node) Run(ctx context.Context) error {
	n.ran = true
	stalled := make(chan error, 1)
	ended := make(chan error, 1)
	go func() { ended <- n.run(ctx, func(err error) { stalled <- err }) }()
	select {
	case err := <-ended:
		return err
	case err := <-stalled:
		return err
	}
}

// run is Run, but that it waits for a disk however long that stands still; stalled is
// called then, once.
func (n *Node) run(ctx context.Context, stalled func(error)) error {
	// Parts outlive ctx until the drain has passed them: each has a context of its own.
	var l lifetimes
	var stopPorts, stopLinks, stopDisk context.CancelFunc
	l.ports, stopPorts = context.WithCancel(context.WithoutCancel(ctx))
	defer stopPorts()
	l.links, stopLinks = context.WithCancel(context.WithoutCancel(ctx))
	defer stopLinks()
	l.disk, stopDisk = context.WithCancel(context.WithoutCancel(ctx))
	defer stopDisk()

	group, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	l.group, l.stalled = group, stalled
	group.Go(func() error { return n.grow(&l) })
	group.Go(func() error { return n.tendControl(l.disk) })
	group.Go(func() error { return n.server.ServePeers(l.ports, n.peerPort) })
	group.Go(func() error { return n.server.ServeClients(l.ports, n.clientPort) })
	if n.adminPort != nil {
		// Until the drain is over, so that it can be watched.
		group.Go(func() error { return n.admin.Serve(l.ports, n.adminPort) })
	}
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
	if errors.Is(err, meta.ErrRolledBack) {
		// The data in the directory is as old, and this node's own group has accepted it.
		err = errors.Join(err, n.membership.Load().opening.refuse())
	}
	// Where a part has failed nothing was drained: the requests that were under way see
	// their connections' end and the store's, and must be gone before the store closes.
	n.server.Wait()
	n.drainSends()
	if d := n.data.Load(); err == nil && d != nil {
		err = n.membership.Load().opening.leaveCleanMark(d.replica)
	}
	_ = n.cfg.Points.Hit(PointClose) // what is closed is closed anyway
	return errors.Join(err, n.closeAll())
}

// lifetimes are what the parts of a node that runs belong to.
type lifetimes struct {
	group *errgroup.Group
	// stalled is told that a write of the group's part does not end.
	stalled func(error)
	// ports, links and disk end in this order.
	ports, links, disk context.Context
}

// grow makes the node a member and then one that serves data, as far as it is not yet,
// and runs what belongs to each step.
func (n *Node) grow(l *lifetimes) error {
	known := n.membership.Load() != nil
	if !known {
		done, err := n.become(l.links)
		if err != nil || !done {
			return err
		}
	}
	m := n.membership.Load()
	if m.meta != nil {
		if known {
			// Before the other seats hear of this opening: a copy would cost the original its seat.
			if err := n.checkTwin(l.links, m); err != nil {
				return err
			}
		}
		l.group.Go(func() error { return runMeta(l, m.meta) })
	}
	if known && m.meta != nil {
		// Beside all else: an address that swallows packets keeps nobody from serving.
		l.group.Go(func() error { return n.checkJoin(l.links, m) })
	}
	l.group.Go(func() error { return n.confirm(l.links) })
	if len(n.cfg.Form.Join) > 0 {
		l.group.Go(func() error { return n.askAround(l.links) })
	}
	if n.data.Load() == nil {
		done, err := n.awaitData(l.links, m)
		if err != nil || !done {
			return err
		}
	}
	return n.runData(l)
}

// runMeta takes part in the group.
func runMeta(l *lifetimes, g *meta.Group) error {
	err := g.Run(l.links)
	if errors.Is(err, meta.ErrStalled) {
		l.stalled(err)
	}
	return err
}

// awaitData waits until this node is in a ring, and opens what serves data. It reports
// false where ctx ended before.
func (n *Node) awaitData(ctx context.Context, m *membership) (bool, error) {
	changed, stop := m.group.Watch()
	defer stop()
	for {
		if err := n.openData(ctx); err != nil {
			return false, err
		}
		if n.data.Load() != nil {
			return true, nil
		}
		settled := n.settled
		if n.isSettled() {
			settled = nil // then only the group has news
		}
		select {
		case <-changed:
		case <-settled:
		case <-ctx.Done():
			return false, nil
		}
	}
}

// runData runs what serves data.
func (n *Node) runData(l *lifetimes) error {
	d, current := n.data.Load(), n.ringOf()
	if err := d.follow(current, true); err != nil {
		return err
	}
	n.tellState(d)
	l.group.Go(func() error { return n.store.Run(l.disk) })
	l.group.Go(func() error { return d.gossip.Run(l.links) })
	l.group.Go(func() error { return d.peers.run(l.links) })
	l.group.Go(func() error { return d.peers.probe(l.links, d.gossip.Alive) })
	l.group.Go(func() error { return n.watch(l.links, d, current.Version()) })
	l.group.Go(func() error { return n.sweep(l.links, d) })
	l.group.Go(func() error { return n.fill(l.links, d) })
	if d.purger != nil {
		l.group.Go(func() error { return d.purger.Run(l.links) })
	}
	l.group.Go(func() error { return d.handoff.Run(l.links) })
	l.group.Go(func() error { return n.background.look(l.links) })
	l.group.Go(func() error { return d.exchange.Run(l.links) })
	l.group.Go(func() error { return d.replica.KeepTrees(l.links) })
	return nil
}

// drainSends waits for what requests have left open, once no request is under way.
func (n *Node) drainSends() {
	bound, cancel := context.WithTimeout(context.Background(), n.cfg.DrainTimeout)
	defer cancel()
	if err := n.drainCoordinator(bound); err != nil {
		n.log.Warn("drain cut short", zap.String("step", "sends"), zap.Error(err))
	}
}

func (n *Node) drainCoordinator(ctx context.Context) error {
	d := n.data.Load()
	if d == nil {
		return nil // and what comes later finds the clients' port drained
	}
	return d.coordinator.Drain(ctx)
}

func (n *Node) drainExchange(ctx context.Context) error {
	d := n.data.Load()
	if d == nil {
		return nil
	}
	return d.exchange.Drain(ctx)
}

// drain ends the parts' work from the outside in (I3). Each step has a bound; what
// is left open by then is cut off, and its clients hear of unknown outcomes.
func (n *Node) drain() {
	_ = n.cfg.Points.Hit(PointDrain) // it ends in any case
	n.log.Info("draining")
	n.draining.Store(true)
	if d := n.data.Load(); d != nil {
		n.tellState(d)
	}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"clients", n.server.DrainClients},
		{"sends", n.drainCoordinator},
		{"repairs", n.drainExchange},
		{"peers", n.server.DrainPeers},
		// Until now peers may have forwarded writes, whose sends are open after the answer.
		{"forwarded sends", n.drainCoordinator},
	} {
		bound, cancel := context.WithTimeout(context.Background(), n.cfg.DrainTimeout)
		if err := step.do(bound); err != nil {
			n.log.Warn("drain cut short", zap.String("step", step.name), zap.Error(err))
		}
		cancel()
	}
}

// tellState tells the others by gossip how this node is.
func (n *Node) tellState(d *data) {
	n.telling.Lock()
	defer n.telling.Unlock()
	status := d.replica.Status()
	switch {
	case n.draining.Load():
		d.gossip.SetState(gossip.StateDraining)
	case !status.Ready:
		d.gossip.SetState(gossip.StateNotReady)
	case !status.Confirmed:
		d.gossip.SetState(gossip.StateUnconfirmed)
	default:
		d.gossip.SetState(gossip.StateReady)
	}
}

// watch follows gossip and the group: who is reachable again is dialed at once, and a
// newer ring than that of the version has its members followed.
func (n *Node) watch(ctx context.Context, d *data, version uint64) error {
	seen, forget := d.gossip.Watch()
	defer forget()
	changed, stop := n.membership.Load().group.Watch()
	defer stop()
	for {
		current := n.ringOf()
		newer := current.Version() > version
		version = max(version, current.Version())
		if err := d.follow(current, newer); err != nil {
			return err
		}
		n.hear(d)
		d.peers.kick(d.gossip.Alive)
		d.handoff.Wake()
		select {
		case <-seen:
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// hear tells the group of newer rings that others say they have.
func (n *Node) hear(d *data) {
	g := n.membership.Load().meta
	if g == nil {
		return
	}
	for _, other := range d.gossip.View().Members {
		if other.Status == gossip.StatusAlive && other.Meta.NodeID != d.member.ID {
			g.Hear(other.Meta.RingVersion, other.Meta.NodeID)
		}
	}
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
