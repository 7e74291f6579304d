// SPDX-License-Identifier: Apache-2.0

package real

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// The faults. One node suffers at a time, but for killAll.
const (
	// killLeader ends whoever leads the metadata group, killFollower another one.
	killLeader   = "kill leader"
	killFollower = "kill follower"
	// pauseLeader stops the leader for so long that another is elected, and lets it go on;
	// pauseFollower stops another one, for long or shortly.
	pauseLeader   = "pause leader"
	pauseFollower = "pause follower"
	// move ends any node, and starts it where nobody has seen it yet.
	move = "move"
	// killAll ends all at once.
	killAll = "kill all"
)

// longestPause is less than half of the shortest time to live of a session: those that are
// kept alive must outlast it.
const longestPause = 5 * time.Second

// deck gives faults one after the other: every kind comes before one comes twice.
type deck struct {
	rng         *rand.Rand
	kinds, left []string
}

// newDeck is of the faults that locks suffer, and begins with the one that everybody wants
// to see.
func newDeck(rng *rand.Rand) *deck {
	return &deck{rng: rng, left: []string{killLeader}, kinds: []string{
		killLeader, killFollower, pauseLeader, pauseFollower, move, killAll,
	}}
}

func (d *deck) draw() string {
	if len(d.left) == 0 {
		d.left = slices.Clone(d.kinds)
		d.rng.Shuffle(len(d.left), func(i, j int) {
			d.left[i], d.left[j] = d.left[j], d.left[i]
		})
	}
	next := d.left[0]
	d.left = d.left[1:]
	return next
}

// faults come one after the other until the time is over; the last one is healed then.
func (r *lockRun) faults(ctx context.Context) error {
	rng := r.source(sourceOfFaults)
	timed, cancel := context.WithTimeout(ctx, r.cfg.Duration)
	defer cancel()
	for d := newDeck(rng); rest(timed, drawTime(rng, time.Second, 3*time.Second)); {
		if err := r.fault(ctx, rng, d.draw()); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// fault does one fault, and waits until the cluster is whole again.
func (r *lockRun) fault(ctx context.Context, rng *rand.Rand, name string) error {
	c := r.cluster
	leader, err := c.lead(ctx)
	if err != nil {
		return err
	}
	at := leader
	switch other := (leader + 1 + rng.IntN(c.Nodes()-1)) % c.Nodes(); name {
	case killFollower, pauseFollower:
		at = other
	case move:
		at = rng.IntN(c.Nodes())
	}
	e := history.Event{
		From: r.now(), Name: name, Nodes: []string{c.Name(at)}, Outage: name == killAll,
	}
	all := c.all()
	suffers := []int{at}
	if e.Outage {
		suffers, e.Nodes = all, nil
		for _, i := range all {
			e.Nodes = append(e.Nodes, c.Name(i))
		}
	}
	r.cfg.tell(fmt.Sprintf("%s (%v)", name, e.Nodes))
	if err := r.inflict(ctx, rng, name, suffers); err != nil {
		return fmt.Errorf("real: fault %s of %v: %w", name, e.Nodes, err)
	}
	if err := c.Ready(ctx, all...); err != nil {
		return fmt.Errorf("real: after the fault %s of %v: %w", name, e.Nodes, err)
	}
	e.Until = r.now()
	return r.record.Event(&e)
}

// inflict does a fault, and takes it back.
func (r *lockRun) inflict(
	ctx context.Context, rng *rand.Rand, name string, at []int,
) (err error) {
	c := r.cluster
	each := func(do func(int) error) {
		for _, i := range at {
			err = errors.Join(err, do(i))
		}
	}
	switch name {
	case pauseLeader, pauseFollower:
		shortest := longestPause / 2 // beyond the election timeout, twice
		if name == pauseFollower {
			shortest /= 10
		}
		each(c.Pause)
		rest(ctx, drawTime(rng, shortest, longestPause))
		each(c.Resume)
	case move:
		each(c.Kill)
		each(c.Move)
	default:
		each(c.Kill)
		if len(at) == 1 {
			rest(ctx, drawTime(rng, 0, 3*time.Second))
		}
		each(c.Restart)
	}
	return err
}

// all are the numbers of all nodes.
func (c *Cluster) all() []int {
	all := make([]int, len(c.nodes))
	for i := range all {
		all[i] = i
	}
	return all
}

// All are the numbers of all nodes.
func (c *Cluster) All() []int { return c.all() }

// lead waits until somebody leads the metadata group.
func (c *Cluster) lead(ctx context.Context) (leader int, err error) {
	err = c.await(ctx, func(ctx context.Context) string {
		if leader = c.Leader(ctx); leader < 0 {
			return "no leader"
		}
		return ""
	})
	return leader, err
}

func drawTime(rng *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rng.Int64N(int64(to-from)))
}

// rest reports whether the time passed before ctx ended.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
