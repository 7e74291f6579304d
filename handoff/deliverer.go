// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
)

// Deliverer brings hints to the members of their slots.
type Deliverer struct {
	// Immutable after New.
	cfg    Config
	hints  Hints
	peers  Peers
	budget Budget
	log    *zap.Logger

	marks marks
	inbox inbox
	wake  chan struct{} // holds at most one token

	delivered atomic.Uint64 // hints and markers that are gone, since the start
	bytes     atomic.Uint64 // that were sent
	gone      gone

	// Owned by Run.
	members map[kv.NodeID]*member
	open    int  // hints on their way. Invariant: <= Window for each member
	stale   bool // what there is to do has to be looked up again
}

// New returns a deliverer, which does nothing before Run.
func New(
	cfg Config, hints Hints, peers Peers, budget Budget, log *zap.Logger,
) (*Deliverer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Deliverer{
		cfg: cfg, hints: hints, peers: peers, budget: budget, log: log,
		marks: newMarks(), inbox: newInbox(),
		wake: make(chan struct{}, 1), members: make(map[kv.NodeID]*member),
	}, nil
}

// Wake has the deliverer look at once whether members are back.
func (d *Deliverer) Wake() { poke(d.wake) }

func poke(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default: // a token that is there says the same
	}
}

// Delivered is how many hints and markers were delivered since the start, and how many
// bytes were sent for them.
func (d *Deliverer) Delivered() (hints, bytes uint64) { return d.delivered.Load(), d.bytes.Load() }

// gone counts what was delivered, by member.
type gone struct {
	mu sync.Mutex // guards to; never held over a wait
	to map[kv.NodeID]uint64
}

// DeliveredTo is how many hints and markers were delivered to each member since the start.
func (d *Deliverer) DeliveredTo() map[kv.NodeID]uint64 {
	d.gone.mu.Lock()
	defer d.gone.mu.Unlock()
	return maps.Clone(d.gone.to)
}

// add counts one to a member; there is an entry for each that ever was.
func (g *gone) add(node kv.NodeID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.to == nil {
		g.to = make(map[kv.NodeID]uint64)
	}
	g.to[node]++
}

// Mark parts the hints that are there from those that will be. Once Ended has come to the
// mark, all of the former were delivered (I5).
func (d *Deliverer) Mark() (mark uint64) {
	mark = d.marks.set(d.hints.HintStatus())
	d.Wake()
	return mark
}

// Ended is the newest mark whose hints were delivered.
func (d *Deliverer) Ended() (mark uint64) { return d.marks.ended() }

// Run delivers until ctx ends; then it waits for what is on its way, and returns nil. It
// may be called once.
func (d *Deliverer) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	counted := false
	d.stale = true
	for ctx.Err() == nil {
		next := d.cfg.PauseMin
		if counted = counted || d.count(ctx); counted {
			next = d.round(ctx, time.Now())
		}
		timer.Reset(next)
		select {
		case <-timer.C:
			d.stale = true
		case <-d.wake:
			d.stale = true
		case <-d.inbox.wake:
		case <-ctx.Done():
		}
		d.handleAll()
	}
	for d.open > 0 { // each has a deadline
		<-d.inbox.wake
		d.handleAll()
	}
	return nil
}

// count counts what earlier lives have left (I4).
func (d *Deliverer) count(ctx context.Context) bool {
	err := d.hints.CountHints(ctx)
	if err != nil {
		if ctx.Err() == nil {
			d.log.Warn("hints not counted yet", zap.Error(err))
		}
		return false
	}
	status := d.hints.HintStatus()
	d.marks.counted(status)
	if len(status.Cells) > 0 {
		d.log.Info("hints are kept for others", zap.Int("slots", len(status.Cells)),
			zap.Int64("bytes", status.Bytes))
	}
	return true
}

// handleAll takes what has come back.
func (d *Deliverer) handleAll() {
	for _, e := range d.inbox.take() {
		d.handle(e)
	}
}

// round sends as much as windows allow, and returns after how long to look again.
func (d *Deliverer) round(ctx context.Context, now time.Time) time.Duration {
	if d.stale {
		d.stale = false
		d.sortCells(now)
	}
	next := d.cfg.Every
	for _, id := range d.inOrder() {
		m := d.members[id]
		for m.ready(now) && ctx.Err() == nil {
			if !d.sendNext(ctx, m) {
				break
			}
		}
		next = min(next, m.until(now, d.cfg.Every))
	}
	return max(next, time.Millisecond)
}

// sortCells gives each member that has nothing to do the cells whose slot it is in, if it is
// time for another look at them.
func (d *Deliverer) sortCells(now time.Time) {
	current := d.cfg.Ring()
	if current == nil {
		return
	}
	byMember := make(map[kv.NodeID][]replica.HintCell)
	for _, at := range d.marks.cells(d.hints.HintStatus()) {
		slots := current.Placement(at.Partition).Slots
		if int(at.Slot) >= len(slots) {
			continue // no ring has fewer slots than the one before
		}
		first, _ := slots[at.Slot].Writers()
		byMember[first] = append(byMember[first], at)
	}
	newest := d.marks.newest()
	for id, cells := range byMember {
		m := d.members[id]
		if m == nil {
			m = &member{id: id, pauses: pauses{least: d.cfg.PauseMin, most: d.cfg.PauseMax}}
			d.members[id] = m
		}
		m.look(now, id == d.cfg.Node || d.cfg.Alive(id))
		m.offer(now, cells, newest, d.cfg.Every)
	}
	for id, m := range d.members {
		if len(byMember[id]) == 0 && m.idle() {
			delete(d.members, id) // and its pauses, which were over
		}
	}
}

// inOrder are the members, so that no order of a map shows.
func (d *Deliverer) inOrder() []kv.NodeID {
	ids := make([]kv.NodeID, 0, len(d.members))
	for id := range d.members {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, cmp.Compare)
	return ids
}

// event is news of one hint that is on its way: its members have answered, or it has been
// dropped.
type event struct {
	item    *item
	dropped bool
	gone    bool
}

// inbox takes events from calls that never wait.
type inbox struct {
	wake chan struct{} // holds at most one token: there is something

	mu     sync.Mutex
	events []event // guarded by mu; at most as many as are open
}

func newInbox() inbox { return inbox{wake: make(chan struct{}, 1)} }

func (i *inbox) add(e event) {
	i.mu.Lock()
	i.events = append(i.events, e)
	i.mu.Unlock()
	poke(i.wake)
}

func (i *inbox) take() []event {
	i.mu.Lock()
	defer i.mu.Unlock()
	taken := i.events
	i.events = nil
	return taken
}
