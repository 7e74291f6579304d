// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/ring"
)

// metaGroup is the metadata group in the words of Group.
type metaGroup struct {
	*meta.Group
	own ring.Member // name and addresses
	// random48 draws what makes requests to the group distinct.
	random48 func() uint64
}

var _ Group = (*metaGroup)(nil)

// errNotRegistered: the group has no member of this node's number.
var errNotRegistered = errors.New("node: the group does not know this member")

// Ring implements Group.
func (g *metaGroup) Ring() *ring.Ring {
	if v := g.View(); v != nil {
		return v.Ring
	}
	return nil
}

// Buckets implements Group.
func (g *metaGroup) Buckets() []kv.Bucket {
	if v := g.View(); v != nil {
		return v.Buckets
	}
	return nil
}

// LastOpen implements Group.
func (g *metaGroup) LastOpen(ctx context.Context, id kv.NodeID) (kv.Open, error) {
	if _, err := g.Barrier(ctx); err != nil {
		return kv.Open{}, err
	}
	return g.Accepted(id), nil
}

// Accepted implements Group.
func (g *metaGroup) Accepted(id kv.NodeID) (open kv.Open) {
	g.Read(func(s *state.State) {
		if s == nil {
			return
		}
		if m, found := s.Member(id); found {
			open = m.Open
		}
	})
	return open
}

// ConfirmOpen implements Group. It tells the group where this process listens, too.
func (g *metaGroup) ConfirmOpen(ctx context.Context, id kv.NodeID, opens []kv.Open) (
	kv.Verdict, kv.Instance, error,
) {
	r, err := g.Do(ctx, state.OpenStore{
		Node: id, Opens: opens, Addresses: stateAddresses(g.own),
	})
	switch {
	case err != nil:
		return kv.VerdictUnknown, 0, err
	case r.Code == state.CodeNotFound:
		return kv.VerdictUnknown, 0, fmt.Errorf("%w: %s", errNotRegistered, r.Detail)
	case r.Verdict == 0: // refused for another reason than its openings
		return kv.VerdictUnknown, 0, fmt.Errorf("node: the group: %s", r.Detail)
	case r.Member == nil:
		return r.Verdict, 0, nil
	default:
		return r.Verdict, r.Member.Instance, nil
	}
}

func stateAddresses(m ring.Member) state.Addresses {
	return state.Addresses{Client: m.Client, Peer: m.Peer, Gossip: m.Gossip, Admin: m.Admin}
}

// Missing implements Group.
func (g *metaGroup) Missing() string {
	v := g.View()
	switch {
	case v == nil:
		return "this node has not heard from its cluster's metadata group yet"
	case v.Ring == nil:
		return fmt.Sprintf("%d nodes needed, %d registered", v.Expect, v.Registered)
	default:
		return "this node is not in the ring yet"
	}
}
