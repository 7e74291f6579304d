// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/kv"
)

// maxResolved bounds how many addresses of one host name are tried.
const maxResolved = 3

// rejoinGap is the least time between two rounds that SetMembers asks for.
const rejoinGap = 500 * time.Millisecond

// SetMembers replaces the registered members, as the metadata group lists them; this
// node may be among them. Those that are not alive are tried at once, and then for as
// long as they stay registered. Entries that name nobody are left out and logged;
// so is what goes beyond MaxMembers.
func (g *Gossip) SetMembers(peers []Peer) {
	valid := make([]Peer, 0, min(len(peers), MaxMembers))
	for _, p := range peers {
		if err := p.validate(); err != nil || len(valid) == MaxMembers {
			g.log.Warn("registered member left out", zap.String("peer-name", p.Name),
				zap.Uint16("peer-id", uint16(p.ID)), zap.String("peer-addr", p.GossipAddr),
				zap.Error(err))
			continue
		}
		valid = append(valid, p)
	}
	if g.roster.register(valid, time.Now()) {
		poke(g.roster.changed)
		poke(g.rejoinNow)
	}
}

func (p Peer) validate() error {
	if p.ID == 0 || !kv.ValidMemberName(p.Name) {
		return errors.New("gossip: a registered member needs an id and a name")
	}
	if _, _, err := net.SplitHostPort(p.GossipAddr); err != nil {
		return fmt.Errorf("gossip: address of a registered member: %w", err)
	}
	return nil
}

// keepJoined tries, for ever, the registered members that are not alive. memberlist
// forgets the dead after a while and never asks them again, so two halves that were
// apart for longer stay apart (tried: a node that was isolated for 60 s). One contact
// is enough: the exchange tells each half of all members of the other.
func (g *Gossip) keepJoined(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	after := g.cfg.Name // nodes start at different places of the list
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.rejoinNow:
			timer.Reset(max(0, rejoinGap-time.Since(last)))
			continue
		case <-timer.C:
		}
		for _, p := range nextPeers(g.roster.missing(), after, g.cfg.RejoinFanout) {
			if ctx.Err() != nil {
				return
			}
			after = p.Name
			g.tryJoin(ctx, p)
		}
		last = time.Now()
		if mutant.On(mutant.NoRejoin) {
			continue
		}
		timer.Reset(jitter(g.cfg.RejoinInterval, g.rng))
	}
}

// nextPeers returns up to n of peers, which are in order of their names, beginning
// with the first name beyond after and going round.
func nextPeers(peers []Peer, after string, n int) []Peer {
	start, found := slices.BinarySearchFunc(peers, after, func(p Peer, name string) int {
		return cmp.Compare(p.Name, name)
	})
	if found {
		start++
	}
	var next []Peer
	for i := range min(n, len(peers)) {
		next = append(next, peers[(start+i)%len(peers)])
	}
	return next
}

// jitter returns a duration within a fifth of d, so that nodes that lost each other
// at one moment do not all try again at one moment.
func jitter(d time.Duration, rng *rand.Rand) time.Duration {
	fifth := int64(d / 5)
	return d - time.Duration(fifth) + time.Duration(rng.Int64N(2*fifth+1))
}

func (g *Gossip) tryJoin(ctx context.Context, p Peer) {
	g.rejoinTried.Add(1)
	addrs, err := resolve(ctx, p.GossipAddr, g.cfg.StreamTimeout)
	if err != nil {
		g.log.Debug("address of a lost member not found",
			zap.String("peer-name", p.Name), zap.Error(err))
		return
	}
	for _, addr := range addrs {
		if ctx.Err() != nil {
			return
		}
		if _, err := g.list.Join([]string{p.Name + "/" + addr}); err != nil {
			g.log.Debug("lost member not reached", zap.String("peer-name", p.Name),
				zap.String("peer-addr", addr), zap.Error(err))
			continue
		}
		g.rejoinDone.Add(1)
		g.log.Info("lost member reached", zap.String("peer-name", p.Name),
			zap.String("peer-addr", addr))
		return
	}
}

// resolve returns the addresses of addr as IP and port. memberlist would resolve host
// names itself, but without a deadline.
func resolve(ctx context.Context, addr string, timeout time.Duration) ([]string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("gossip: resolve: %w", err)
	}
	if net.ParseIP(host) != nil {
		return []string{addr}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("gossip: resolve: %w", err)
	}
	var addrs []string
	for _, ip := range ips[:min(len(ips), maxResolved)] {
		addrs = append(addrs, net.JoinHostPort(ip.Unmap().String(), port))
	}
	return addrs, nil
}
