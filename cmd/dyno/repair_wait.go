// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

// repairPoll is how long one question for the progress of a round waits for its end.
const repairPoll = 2 * time.Second

const repairWaitLong = `Begins a round at each node, and waits until each of them holds the same as
the other owners of its partitions, as of some time after the command began: whatever was
stored before is then on all of its owners, and a node that lost its data is full. While a
node is down this can not end; --timeout bounds it, with exit code 6.

Interrupting it changes nothing: the rounds go on.`

func (a *app) repairWaitCommand() *cobra.Command {
	return &cobra.Command{
		Use: "wait", Short: "Wait until all owners hold the same", Args: takes(0, 0),
		Long: repairWaitLong, Example: "  dyno repair wait\n  dyno repair wait --timeout 10m",
		RunE: a.does(a.asks(a.repairWait)),
	}
}

// roundOf is one member's round.
type roundOf struct {
	repairMember
	round  uint64 // 0: none has begun yet
	status client.RepairStatus
	err    error // of the last question
	done   bool
	fill   uint64 // pairs that its refill copies, also when it is over
}

// ask begins the member's round, or waits for its end for a moment.
func (r *roundOf) ask(ctx context.Context, c *client.Client) {
	at := []client.Option{client.WithEndpoint(r.addr), client.WithTimeout(repairPoll)}
	if r.round == 0 {
		if r.status, r.err = c.RepairRun(ctx, at...); r.err == nil {
			r.round = r.status.Round
		}
		return
	}
	r.status, r.err = c.RepairWait(ctx, r.round, at...)
	switch {
	case r.err != nil:
	case r.status.Round != r.round:
		r.round = 0 // it has started again, and knows of no round
	default:
		r.done = r.status.Settled == r.status.Pairs && r.status.Refill == nil
	}
}

// progress is how much there is to do at the member, and how much is done.
func (r *roundOf) progress() (all, done uint64) {
	all, done = r.status.Pairs, r.status.Settled
	if f := r.status.Refill; f != nil {
		r.fill = max(r.fill, f.Pairs)
		done += min(f.Copied, r.fill)
	} else {
		done += r.fill
	}
	return all + r.fill, done
}

func (a *app) repairWait(ctx context.Context, c *client.Client, _ []string) error {
	if a.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.timeout)
		defer cancel()
	}
	members, err := repairMembers(ctx, c)
	if err != nil {
		return err
	}
	rounds := make([]*roundOf, len(members))
	for i, m := range members {
		rounds[i] = &roundOf{repairMember: m}
	}
	bar := a.newPairBar()
	for askRounds(ctx, c, rounds) && ctx.Err() == nil {
		showPairs(bar, rounds)
	}
	if bar != nil {
		_ = bar.Finish() // only draws
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	out := &repairOutput{head: newHead(), Done: true}
	var missing []string
	for _, r := range rounds {
		out.Nodes = append(out.Nodes, newRepairNode(r.name, &r.status, r.err))
		if out.Done = out.Done && r.done; !r.done {
			missing = append(missing, r.name)
		}
	}
	if err := a.showRepairs(out); err != nil || out.Done {
		return err
	}
	return failWith(exitTimeout, "not settled in time: %s; the rounds go on",
		strings.Join(missing, ", "))
}

// askRounds asks those members side by side whose rounds are not done, and reports whether
// there are any. It takes a moment.
func askRounds(ctx context.Context, c *client.Client, rounds []*roundOf) (open bool) {
	var asked sync.WaitGroup
	for _, r := range rounds {
		if r.done {
			continue
		}
		open = true
		asked.Go(func() {
			if r.ask(ctx, c); r.err == nil {
				return
			}
			select { // it may be down: neither it nor we gain by haste
			case <-time.After(repairPoll / 4):
			case <-ctx.Done():
			}
		})
	}
	asked.Wait()
	return open
}

// newPairBar shows how many pairs are settled; nil where nobody watches.
func (a *app) newPairBar() *progressbar.ProgressBar {
	if !terminal(a.errs) {
		return nil
	}
	return progressbar.NewOptions64(1,
		progressbar.OptionSetWriter(a.errs), progressbar.OptionSetDescription("settled"),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
}

// showPairs moves the bar.
func showPairs(bar *progressbar.ProgressBar, rounds []*roundOf) {
	if bar == nil {
		return
	}
	pairs, settled := int64(0), int64(0)
	var filled []string
	for _, r := range rounds {
		all, done := r.progress()
		pairs, settled = pairs+int64(all), settled+int64(done)
		if r.status.Refill != nil {
			filled = append(filled, r.name)
		}
	}
	what := "settled"
	if len(filled) > 0 {
		what = "filling " + strings.Join(filled, ", ")
	}
	bar.Describe(what)
	bar.ChangeMax64(max(1, pairs))
	_ = bar.Set64(settled) // it fails beyond its end only
}
