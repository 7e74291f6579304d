// SPDX-License-Identifier: Apache-2.0

package real

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// The faults of stores. One node suffers at a time, but for killFallback and wipeBeside.
const (
	// downNode has a node killed or stopped while others write, and started again.
	downNode = "down"
	// killFallback kills another node meanwhile, which holds hints for the first, and starts
	// it again; the first comes back after it.
	killFallback = "kill fallback"
	// wipe has a node lose its directory, and begin a new life.
	wipe = "wipe"
	// wipeTwice kills it once more while it is filled.
	wipeTwice = "wipe and kill"
	// wipeBeside has a node lose its directory while another one is down, and has missed
	// writes: what both of them have together is not enough for any answer.
	wipeBeside = "wipe beside down"
	// restore puts an older copy of the directory in its place. The node is refused, and
	// begins a new life then.
	restore = "restore"
)

// errNotRefused says that a node serves although its directory is an older copy.
var errNotRefused = errors.New("real: a store that was put back is taken for ready")

func newStoreDeck(rng *rand.Rand) *deck {
	return &deck{rng: rng, kinds: []string{
		downNode, killFallback, wipe, wipeTwice, wipeBeside, restore,
	}}
}

// faults come one after the other until the time is over; the last one is healed then.
func (r *repairRun) faults(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(r.cfg.Seed, sourceOfFaults))
	d := newStoreDeck(rng)
	timed, cancel := context.WithTimeout(ctx, r.cfg.Duration)
	defer cancel()
	for rest(timed, drawTime(rng, 500*time.Millisecond, 2*time.Second)) {
		if err := r.fault(ctx, rng, d.draw()); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// fault does one fault, and waits until all nodes are ready again. Where a store was lost it
// waits for more: until every key has all of its copies, and the metadata group its voters,
// so that no second loss may take the last of them.
func (r *repairRun) fault(ctx context.Context, rng *rand.Rand, name string) error {
	c := r.cluster
	at := rng.IntN(c.Nodes())
	other := (at + 1 + rng.IntN(c.Nodes()-1)) % c.Nodes()
	e := history.Event{From: r.now(), Name: name, Nodes: []string{c.Name(at)}}
	if name == killFallback || name == wipeBeside {
		e.Nodes, e.Outage = append(e.Nodes, c.Name(other)), true // of what both of them own
	}
	r.cfg.tell(fmt.Sprintf("%s (%v)", name, e.Nodes))
	err := r.inflict(ctx, rng, name, at, other)
	if err == nil {
		err = c.Ready(ctx, c.all()...)
	}
	if err == nil && name != downNode && name != killFallback {
		r.cfg.tell("wait for voters, hints and repairs")
		if err = c.settle(ctx); err == nil {
			err = c.converge(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("real: fault %s of %v: %w", name, e.Nodes, err)
	}
	e.Until = r.now()
	for _, b := range r.buckets {
		err = errors.Join(err, b.record.Event(&e))
	}
	return err
}

// inflict does a fault, and takes it back.
func (r *repairRun) inflict(
	ctx context.Context, rng *rand.Rand, name string, at, other int,
) error {
	c := r.cluster
	pause := func(most time.Duration) error {
		rest(ctx, drawTime(rng, most/4, most))
		return ctx.Err()
	}
	down := func() error { return c.Kill(at) }
	if rng.IntN(2) == 0 {
		down = func() error { return c.Stop(at) }
	}
	switch name {
	case downNode:
		return inTurn(down, func() error { return pause(4 * time.Second) },
			func() error { return c.Restart(at) })
	case killFallback:
		return inTurn(down, func() error { return pause(4 * time.Second) },
			func() error { return c.Kill(other) }, func() error { return c.Restart(other) },
			func() error { return c.Ready(ctx, other) },
			func() error { return pause(2 * time.Second) },
			func() error { return c.Restart(at) })
	case wipe:
		return inTurn(down, func() error { return pause(2 * time.Second) },
			func() error { return c.Wipe(at) }, func() error { return c.Rejoin(at) })
	case wipeBeside: // it may need the other one's vote, and its fence, to begin anew
		return inTurn(func() error { return c.Kill(other) },
			func() error { return pause(4 * time.Second) }, down,
			func() error { return c.Wipe(at) }, func() error { return c.Rejoin(at) },
			func() error { return pause(time.Second) },
			func() error { return c.Restart(other) })
	case wipeTwice:
		return inTurn(down, func() error { return c.Wipe(at) },
			func() error { return c.Rejoin(at) },
			func() error { return r.begun(ctx, at) },
			func() error { return pause(2 * time.Second) },
			func() error { return c.Kill(at) }, func() error { return c.Restart(at) })
	default:
		return inTurn(func() error { return c.Stop(at) }, func() error { return c.Save(at) },
			func() error { return c.Restart(at) }, func() error { return c.Ready(ctx, at) },
			func() error { return pause(2 * time.Second) },
			down, func() error { return c.Restore(at) }, func() error { return c.Restart(at) },
			func() error { return r.refused(ctx, at) },
			func() error { return pause(2 * time.Second) },
			func() error { return c.Kill(at) }, func() error { return c.Rejoin(at) })
	}
}

// inTurn does one thing after the other until one fails.
func inTurn(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// begun waits until a node whose store is lost answers at all: it has a new life in its
// directory then, and another start needs no word of an operator's.
func (r *repairRun) begun(ctx context.Context, at int) error {
	return r.cluster.await(ctx, func(ctx context.Context) string {
		if err := r.cluster.Ended(at); err != nil {
			return err.Error()
		}
		why := r.cluster.reason(ctx, at)
		if strings.Contains(why, "filled") || why == "" {
			return ""
		}
		return why
	})
}

// refused waits until a node says that its directory is an older copy.
func (r *repairRun) refused(ctx context.Context, at int) error {
	return r.cluster.await(ctx, func(ctx context.Context) string {
		why := r.cluster.reason(ctx, at)
		if strings.Contains(why, "restored from an older copy") {
			return ""
		}
		if why == "" {
			return errNotRefused.Error()
		}
		return why
	})
}
