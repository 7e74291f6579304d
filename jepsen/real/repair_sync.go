// SPDX-License-Identifier: Apache-2.0

package real

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/checker"
)

const (
	// syncTime bounds each of the two waits for what is left to be done.
	syncTime = 2 * time.Minute
	// round is how long one question for the progress of comparisons may wait.
	round = 2 * time.Second
)

// Converge is converge, and waits until no node keeps a hint, within ctx.
func (c *Cluster) Converge(ctx context.Context) error {
	if err := c.converge(ctx); err != nil {
		return err
	}
	if err := c.delivered(ctx); err != nil {
		return fmt.Errorf("real: hints are left: %w", err)
	}
	return nil
}

// converge waits until hints are delivered, and then until every node has found that it holds
// the same as the other owners. All nodes must run.
func (c *Cluster) converge(ctx context.Context) error {
	var last client.HintsProgress
	err := c.admin.HintsWait(ctx, func(p client.HintsProgress) { last = p },
		client.WithTimeout(syncTime))
	if err != nil {
		return fmt.Errorf("real: hints wait: %w, %+v", err, last)
	}
	ctx, cancel := context.WithTimeout(ctx, syncTime)
	defer cancel()
	errs := make([]error, c.Nodes())
	var all sync.WaitGroup
	for i, at := range c.Addresses() {
		all.Go(func() {
			if err := c.settled(ctx, at); err != nil {
				errs[i] = fmt.Errorf("real: repair wait: %s: %w", c.Name(i), err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// delivered waits until no node keeps anything for another one. Nobody may write meanwhile.
func (c *Cluster) delivered(ctx context.Context) error {
	return c.await(ctx, func(ctx context.Context) string {
		s, err := c.admin.HintsStatus(ctx, client.WithTimeout(round))
		if err != nil {
			return err.Error()
		}
		return leftOf(s)
	})
}

// leftOf tells what nodes keep for others, or why that is not known; "" where it is nothing.
func leftOf(s client.HintsStatus) string {
	var left []string
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Reason != "" || !n.Counted {
			left = append(left, fmt.Sprintf("%s is not known: %s", n.Node, n.Reason))
		}
		for _, b := range n.Backlog {
			left = append(left, fmt.Sprintf("%s keeps %d hints and %d markers for %s, %d damaged",
				n.Node, b.Hints, b.Markers, b.Peer, b.Damaged))
		}
	}
	return strings.Join(left, "; ")
}

// settled has a node begin a round of comparisons, and waits for its end.
func (c *Cluster) settled(ctx context.Context, at string) error {
	opts := []client.Option{client.WithEndpoint(at), client.WithTimeout(round)}
	begun, err := c.admin.RepairRun(ctx, opts...)
	for last := err; ; {
		if err == nil && begun.Round > 0 {
			var now client.RepairStatus
			if now, err = c.admin.RepairWait(ctx, begun.Round, opts...); err == nil {
				if now.Settled == now.Pairs && now.Round == begun.Round {
					return nil
				}
				last = fmt.Errorf("%d of %d pairs are settled: %+v", now.Settled, now.Pairs,
					now.Behind[:min(3, len(now.Behind))])
			}
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		if !rest(ctx, look) {
			return fmt.Errorf("%w: %w", ctx.Err(), last)
		}
	}
}

// Copy is what a node gave for a key when it was asked for one copy: an owner gives its own.
type Copy struct {
	Key, Node string
	Values    [][]byte // in the order of their bytes
	Context   []byte
}

// copies asks every node for every key of a bucket.
func (c *Cluster) copies(ctx context.Context, b *repairBucket) ([]Copy, error) {
	var out []Copy
	for i, at := range c.Addresses() {
		for _, key := range b.load.Keys {
			got, err := c.admin.Bucket(b.name).Get(ctx, []byte(key), client.WithR(client.One),
				client.WithEndpoint(at), client.WithTimeout(closing))
			if err != nil {
				return nil, fmt.Errorf("real: copy of %q at %s: %w", key, c.Name(i), err)
			}
			one := Copy{Key: key, Node: c.Name(i), Context: got.Context}
			for _, s := range got.Siblings {
				if !s.Deleted {
					one.Values = append(one.Values, s.Value)
				}
			}
			slices.SortFunc(one.Values, bytes.Compare)
			out = append(out, one)
		}
	}
	return out, nil
}

// JudgeCopies demands that all nodes give the same for a key. The context of one that is
// deleted may be gone at some of them, and not yet at others.
func JudgeCopies(all []Copy) checker.Result {
	r := checker.Result{Checker: "copies", Verdict: checker.Valid}
	first := make(map[string]*Copy)
	for i := range all {
		one := &all[i]
		other, known := first[one.Key]
		if !known {
			first[one.Key] = one
			continue
		}
		if same(one, other) {
			continue
		}
		r.Verdict = checker.Invalid
		r.Count++
		r.Violations = append(r.Violations, checker.Violation{
			Rule: "copies", Key: one.Key, Text: fmt.Sprintf("%s has %s, and %s has %s",
				other.Node, other, one.Node, one),
		})
	}
	live := 0
	for _, one := range first {
		if len(one.Values) > 0 {
			live++
		}
	}
	r.Stats = []checker.Stat{
		{Name: "copies", Value: float64(len(all))}, {Name: "keys", Value: float64(len(first))},
		{Name: "live-keys", Value: float64(live)},
	}
	if len(all) == 0 {
		r.Verdict, r.Why = checker.Unknown, "nobody looked at a copy"
	}
	return r
}

func same(a, b *Copy) bool {
	return slices.EqualFunc(a.Values, b.Values, bytes.Equal) &&
		(len(a.Values) == 0 || bytes.Equal(a.Context, b.Context))
}

func (c *Copy) String() string {
	const most = 40
	var values []string
	for _, v := range c.Values {
		values = append(values, fmt.Sprintf("%.*q", most, v))
	}
	return fmt.Sprintf("[%s] of context %x", strings.Join(values, " "), c.Context)
}
