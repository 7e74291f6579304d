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
// under a load that it has before and after as well.
func (m *measure) hints(ctx context.Context, want uint64) (err error) {
	if err := m.start(ctx, hintNodes); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.stop()) }()
	say("load before")
	cfg := m.loading()
	cfg.Preload, cfg.Fresh = true, true
	before, err := load.Run(ctx, cfg, m.through(-1))
	if err != nil {
		return err
	}
	cfg.Preload, cfg.Fresh = false, false
	say("%d hints", want)
	if err := m.miss(ctx, want); err != nil {
		return err
	}
	kept, _, err := m.backlog(ctx)
	if err != nil {
		return err
	}
	if err := m.Restart(away); err != nil {
		return err
	}
	err = await(ctx, "delivery begins", func(ctx context.Context) (bool, error) {
		_, delivered, err := m.backlog(ctx)
		return delivered > 0, err
	})
	if err != nil {
		return err
	}
	say("delivery of %d", kept)
	began := time.Now()
	_, first, err := m.backlog(ctx)
	if err != nil {
		return err
	}
	var took time.Duration
	var last uint64
	with, err := during(ctx, cfg, m.through(-1), "delivery",
		func(ctx context.Context) (bool, error) {
			left, delivered, err := m.backlog(ctx)
			took, last = time.Since(began), delivered
			return err == nil && left == 0, err
		})
	if err != nil {
		return err
	}
	if with == nil {
		return errors.New("all hints were delivered before the load began: ask for more")
	}
	if err := m.client.HintsWait(ctx, nil, client.WithTimeout(patience)); err != nil {
		return err
	}
	say("load after")
	after, err := load.Run(ctx, cfg, m.through(-1))
	if err != nil {
		return err
	}
	all := []figure{
		{float64(kept), "hints"}, {float64(last-first) / took.Seconds(), "hints/s"},
		{took.Seconds(), "s"},
	}
	all = append(all, latencies(before, "before")...)
	all = append(all, latencies(with, "during")...)
	all = append(all, latencies(after, "after")...)
	return m.tell("Hints", append(all, ratio(with, before, after)...)...)
}

// miss writes, while a node is away, until there are so many hints for it.
func (m *measure) miss(ctx context.Context, want uint64) error {
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
		cfg.Prefix = fmt.Sprintf("missed/%d/", round)
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
