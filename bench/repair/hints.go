// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/bench/load"
	"github.com/dyno-kv/dyno/client"
)

// The one of four nodes that is away: three of four keys have it among their owners, and the
// fourth node of each of these keeps a hint for it.
const (
	hintNodes = 4
	away      = hintNodes - 1
)

// hints has fallbacks keep hints for a node that is away, and deliver them when it is back,
// several times: a load goes on beside each delivery, and the same load without one before
// and after it, when the stores hold about as much.
func (m *measure) hints(ctx context.Context, want uint64, rounds int) (err error) {
	if err := m.start(ctx, hintNodes); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.stop()) }()
	say("load without hints")
	cfg := m.loading()
	cfg.Preload, cfg.Fresh = true, true
	first, err := load.Run(ctx, cfg, m.through(-1))
	if err != nil {
		return err
	}
	var sum delivered
	without, with := []*load.Report{first}, []*load.Report(nil)
	for round := range rounds {
		d, err := m.delivery(ctx, round, want/uint64(rounds))
		if err != nil {
			return err
		}
		say("load without hints")
		cfg := m.loading()
		rest, err := load.Run(ctx, cfg, m.through(-1))
		if err != nil {
			return err
		}
		sum.kept, sum.gone, sum.took = sum.kept+d.kept, sum.gone+d.gone, sum.took+d.took
		without, with = append(without, rest), append(with, d.load)
		say("p99 %.1f ms, and %.1f beside %.0f hints/s", rest.Total.P99, d.load.Total.P99,
			float64(d.gone)/d.took.Seconds())
	}
	all := []figure{
		{float64(sum.kept), "hints"}, {float64(sum.gone) / sum.took.Seconds(), "hints/s"},
		{sum.took.Seconds(), "s"},
	}
	all = append(all, latencies("without", without...)...)
	all = append(all, latencies("with", with...)...)
	return m.tell("Hints", append(all, ratio(with, without))...)
}

// delivered is what one return of the node that was away brought.
type delivered struct {
	kept, gone uint64 // hints: at first, and those that were delivered beside the load
	took       time.Duration
	load       *load.Report
}

// delivery has hints kept and delivered, under a load.
func (m *measure) delivery(ctx context.Context, round int, want uint64) (delivered, error) {
	say("%d hints", want)
	var d delivered
	err := m.miss(ctx, round, want)
	if err != nil {
		return d, err
	}
	if d.kept, _, err = m.backlog(ctx); err != nil {
		return d, err
	}
	_, first, err := m.backlog(ctx)
	if err != nil {
		return d, err
	}
	if err := m.Restart(away); err != nil {
		return d, err
	}
	err = await(ctx, "delivery begins", func(ctx context.Context) (bool, error) {
		_, now, err := m.backlog(ctx)
		return now > first, err
	})
	if err != nil {
		return d, err
	}
	say("delivery of %d", d.kept)
	began := time.Now()
	if _, first, err = m.backlog(ctx); err != nil {
		return d, err
	}
	d.load, err = during(ctx, m.loading(), m.through(-1), "delivery",
		func(ctx context.Context) (bool, error) {
			left, now, err := m.backlog(ctx)
			d.took, d.gone = time.Since(began), now-first
			return err == nil && left == 0, err
		})
	if err != nil {
		return d, err
	}
	if d.load == nil {
		return d, errors.New("all hints were delivered before the load began: ask for more")
	}
	return d, m.client.HintsWait(ctx, nil, client.WithTimeout(patience))
}

// miss writes, while a node is away, until there are so many hints for it.
func (m *measure) miss(ctx context.Context, turn int, want uint64) error {
	if err := m.Stop(away); err != nil {
		return err
	}
	err := await(ctx, "the others notice", func(ctx context.Context) (bool, error) {
		for _, at := range m.Addresses()[:away] {
			s, err := m.client.ClusterStatus(ctx, client.WithEndpoint(at))
			if err != nil {
				return false, err
			}
			for _, member := range s.Members {
				if member.Name == m.Name(away) && member.State == client.StateUp {
					return false, fmt.Errorf("%s takes it for up", at)
				}
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for round := 0; ; round++ {
		kept, _, err := m.backlog(ctx)
		if err != nil || kept >= want {
			return err
		}
		cfg := m.loading()
		cfg.Prefix = fmt.Sprintf("missed/%d/%d/", turn, round)
		cfg.Preload, cfg.Fresh, cfg.WarmUp = true, true, 0
		cfg.Keys = (want-kept)*hintNodes/(hintNodes-1) + 1
		cfg.Ops, cfg.Duration, cfg.PutShare = 1, 0, 0
		if _, err := load.Run(ctx, cfg, m.through(-1)); err != nil {
			return err
		}
	}
}

// backlog is how many hints and markers are kept for the node that is away, and how many
// were delivered since the nodes started.
func (m *measure) backlog(ctx context.Context) (kept, delivered uint64, err error) {
	s, err := m.client.HintsStatus(ctx, client.WithEndpoint(m.Addresses()[0]))
	if err != nil {
		return 0, 0, err
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Reason != "" && n.Node != m.Name(away) {
			return 0, 0, fmt.Errorf("%s: %s", n.Node, n.Reason)
		}
		delivered += n.Delivered
		for _, b := range n.Backlog {
			if b.Peer == m.Name(away) {
				kept += b.Hints + b.Markers
			}
		}
	}
	return kept, delivered, nil
}
