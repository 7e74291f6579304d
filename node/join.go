// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// joinTimeout bounds one question to one node.
	joinTimeout = 3 * time.Second
	// joinPauseMin and joinPauseMax bound the pause after all of them were asked in vain:
	// they may be started a moment later, by hand.
	joinPauseMin = 100 * time.Millisecond
	joinPauseMax = time.Second
)

// errRefusedJoin is in the chain of an error that would come again: the cluster does not
// take a node like this one.
var errRefusedJoin = errors.New("node: the cluster refuses this node")

// registration is what a node learns when it registers.
type registration struct {
	identity wire.Identity
	seats    []meta.Seat
}

// join registers this node with the cluster that Form.Join names, until that is done, is
// refused, or ctx ends. Nodes that are not there yet are waited for.
func (n *Node) join(ctx context.Context) (registration, error) {
	pause, told := joinPauseMin, ""
	for {
		var faults []error
		for _, addr := range n.cfg.Form.Join {
			r, err := n.askToJoin(ctx, addr)
			if err == nil || errors.Is(err, errRefusedJoin) || errors.Is(err, ErrNameTaken) {
				return r, err
			}
			faults = append(faults, fmt.Errorf("%s: %w", addr, err))
		}
		if ctx.Err() != nil {
			return registration{}, nil
		}
		why := errors.Join(faults...)
		n.joining.Store(&why)
		if text := why.Error(); text != told {
			n.log.Warn("not joined yet", zap.Error(why))
			told = text
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return registration{}, nil
		}
		pause = min(2*pause, joinPauseMax)
	}
}

// askToJoin registers through one node.
func (n *Node) askToJoin(ctx context.Context, addr string) (registration, error) {
	q := wire.JoinRequest{
		Name: n.own.Name, Zone: n.own.Zone, Weight: n.own.Weight, Addresses: addressesOf(n.own),
		Expect: uint32(n.cfg.Form.Expect), Replicas: uint32(n.cfg.Form.Replicas),
		Common: wire.Common{TimeoutMS: uint32(joinTimeout.Milliseconds())},
	}
	b, err := n.askClientPort(ctx, addr, wire.MethodClusterJoin, func(dst []byte) []byte {
		return wire.AppendJoinRequest(dst, &q)
	})
	if err != nil {
		return registration{}, err
	}
	var result wire.JoinResult
	if err := wire.DecodeJoinResult(b, &result); err != nil {
		return registration{}, err
	}
	cluster, err := ring.ParseClusterID(result.Cluster)
	if err != nil {
		return registration{}, err
	}
	if result.Accepted && n.cfg.RefuseLost && !n.cfg.Rejoin {
		return registration{}, n.nameTaken(cluster)
	}
	r := registration{identity: wire.Identity{
		Cluster: cluster, Node: result.ID, Name: n.own.Name, Created: n.cfg.Now().UnixMilli(),
	}}
	for i := range result.Members {
		if m := &result.Members[i]; m.Seat != wire.SeatClient && m.Addresses.Peer != "" {
			r.seats = append(r.seats, meta.Seat{Node: m.ID, Peer: m.Addresses.Peer})
		}
	}
	return r, nil
}

// nameTaken refuses an empty directory under a name that has stored data.
func (n *Node) nameTaken(cluster ring.ClusterID) error {
	return fmt.Errorf("%w: %q is one of cluster %s, and this directory is empty; start it with "+
		"its own, or with --rejoin if that is lost", ErrNameTaken, n.own.Name, cluster)
}

// askClientPort asks a node one question, as its clients do.
func (n *Node) askClientPort(
	ctx context.Context, addr, method string, params func(dst []byte) []byte,
) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	c, stop, err := rpc.Dial(ctx, n.cfg.Dial, addr, rpc.DefaultClientConfig(), n.log.Named("join"))
	if err != nil {
		return nil, err
	}
	defer stop()
	b, err := c.Call(ctx, method, params)
	var answered *rpc.RemoteError
	if errors.As(err, &answered) {
		code, text := wire.ParseError(answered.Text)
		if code.Retry(wire.OpWrite) == wire.RetryNo && code != wire.CodeInternal {
			return nil, fmt.Errorf("%w: %s", errRefusedJoin, text)
		}
	}
	return clone(b), err
}

// checkJoin refuses to run where a node that Form.Join names answers for another cluster
// than the directory's: either of the two is not the one that was meant. Nodes that do not
// answer are passed over.
func (n *Node) checkJoin(ctx context.Context, m *membership) error {
	ours := ring.ClusterID(m.identity.Cluster).String()
	for _, addr := range n.cfg.Form.Join {
		told, err := n.whoIsAt(ctx, addr)
		if err == nil && told.Cluster != "" && told.Cluster != ours {
			return fmt.Errorf("%w: it holds node %q of cluster %s, but the node at %s is of "+
				"cluster %s", ErrOtherIdentity, m.identity.Name, ours, addr, told.Cluster)
		}
	}
	return nil
}

// checkTwin refuses to run where a process with this node's name answers at the address
// that the group has for it: this directory is a copy, or the same node was started twice.
// Nobody who answers proves that there is no such process; the group's judgement of
// openings then decides which of the two may serve (ARCHITECTURE 6).
func (n *Node) checkTwin(ctx context.Context, m *membership) error {
	current := m.group.Ring()
	if current == nil {
		return nil
	}
	before, found := current.Member(m.identity.Node)
	if !found || before.Client == "" || before.Client == n.own.Client {
		return nil
	}
	told, err := n.whoIsAt(ctx, before.Client)
	if err != nil || told.Node != n.own.Name ||
		told.Cluster != ring.ClusterID(m.identity.Cluster).String() {
		return nil // gone, or somebody else
	}
	return fmt.Errorf("%w: %q runs at %s already; this directory is a copy of that one's, or "+
		"the node was started twice", ErrTwin, n.own.Name, before.Client)
}

// whoIsAt asks who answers at a client address.
func (n *Node) whoIsAt(ctx context.Context, addr string) (wire.HelloResult, error) {
	var result wire.HelloResult
	b, err := n.askClientPort(ctx, addr, wire.MethodHello, func(dst []byte) []byte {
		return wire.AppendHelloRequest(dst, &wire.HelloRequest{
			Client: "dyno node", Version: n.cfg.Server.Version, Proto: []uint32{wire.ProtoVersion},
		})
	})
	if err != nil {
		return result, err
	}
	return result, wire.DecodeHelloResult(b, &result)
}

func addressesOf(m ring.Member) wire.Addresses {
	return wire.Addresses{Client: m.Client, Peer: m.Peer, Gossip: m.Gossip, Admin: m.Admin}
}

// forming says what keeps this node from being a member.
func (n *Node) forming() string {
	if len(n.cfg.Form.Join) == 0 {
		return "this node is forming its cluster"
	}
	text := "this node has not joined yet; it asks " + strings.Join(n.cfg.Form.Join, ", ")
	if why := n.joining.Load(); why != nil {
		text += ": " + (*why).Error()
	}
	return strings.ReplaceAll(text, "\n", "; ")
}
