// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// rig is a group of members on a network in memory, with a fakeLog in the place of raft.
// It must be made inside a bubble; when the test ends everything in it ends.
type rig struct {
	t     testing.TB
	net   *memnet.Network
	log   *fakeLog
	nodes []*rigNode // number 1 first
	ctx   context.Context
	lives sync.WaitGroup
	tune  func(*Config)
	stop  context.CancelFunc
	// anyKilled: peer ports may end with an error.
	anyKilled bool
}

// rigNode is one member.
type rigNode struct {
	*Group
	rig     *rig
	host    string
	seat    *fakeSeat
	control *storage.Control
	calls   *counting
}

// rigCluster is the cluster of every rig.
func rigCluster() ring.ClusterID { return ring.ClusterID{1, 2, 3} }

// newRig founds a group of seats, and clients beside them, all of them registered, and
// runs them. The first seat leads.
func newRig(t testing.TB, seats, clients int, tune func(*Config)) *rig {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{t: t, net: memnet.New(7), ctx: ctx, stop: cancel, tune: tune}
	r.net.SetDefaults(memnet.Faults{Delay: time.Millisecond})
	t.Cleanup(func() {
		cancel()
		r.lives.Wait()
	})
	founded := rigState(t, seats, clients)
	r.log = newFakeLog(time.Millisecond, founded.Index()+1)
	snapshot := founded.Snapshot(nil)
	for i := range seats + clients {
		n := r.newNode(kv.NodeID(i + 1))
		n.seat.client = i >= seats
		if i < seats {
			must(t, n.machine.restore(founded.Index(), founded.Term(), snapshot))
		}
		r.nodes = append(r.nodes, n)
	}
	r.log.term = founded.Term()
	for _, n := range r.nodes {
		r.run(n)
	}
	r.log.elect(r.nodes[0].seat)
	return r
}

// rigState is the state of a cluster that is formed, with so many seats.
func rigState(t testing.TB, seats, clients int) *state.State {
	t.Helper()
	expect := seats + clients
	register := func(node int) state.RegisterMember {
		host := fmt.Sprintf("n%d", node)
		return state.RegisterMember{Name: host, Weight: 1, Addresses: state.Addresses{
			Client: host + ":1", Peer: host + ":2", Gossip: host + ":3",
		}}
	}
	open := func(node int) kv.Open { return kv.Open{Seq: 1, Nonce: uint64(node)} }
	s, err := state.Found(state.Founding{
		Cluster: rigCluster(), Replicas: min(3, expect), Partitions: 16, Expect: expect,
		First: register(1), Open: open(1),
	})
	must(t, err)
	apply := func(c state.Command) {
		entry := state.AppendEntry(nil, state.Token{Raft: 1 << 48, Seq: 1}, c)
		applied, err := s.Apply(s.Index()+1, state.FoundingTerm, entry)
		must(t, err)
		if r := applied.Results[0]; r.Code != state.CodeOK {
			t.Fatalf("%T: %v, %s", c, r.Code, r.Detail)
		}
	}
	for node := 1; node <= expect; node++ {
		if node > 1 {
			apply(register(node))
		}
		apply(state.OpenStore{Node: kv.NodeID(node), Opens: []kv.Open{open(node)}})
		if node > 1 && node <= seats {
			apply(state.AssignRaft{Node: kv.NodeID(node), For: open(node)})
		}
	}
	return s
}

// newNode makes a member that does not run.
func (r *rig) newNode(id kv.NodeID) *rigNode {
	r.t.Helper()
	n := &rigNode{rig: r, host: fmt.Sprintf("n%d", id)}
	n.control = storage.OpenControl(storage.NewMemory(), zap.NewNop())
	cfg := DefaultConfig()
	cfg.Node, cfg.Cluster, cfg.Control = id, rigCluster(), n.control
	cfg.Opens = []kv.Open{{Seq: 1, Nonce: uint64(id)}}
	cfg.Dial = r.net.Dialer(n.host)
	cfg.Hello = func(to kv.NodeID) rpc.Hello { return rigHello{self: id, to: to} }
	cfg.Alive = func(kv.NodeID) bool { return true }
	cfg.Rand = rand.New(rand.NewPCG(7, uint64(id)))
	cfg.Seats = []Seat{{Node: 1, Peer: "n1:2"}, {Node: 2, Peer: "n2:2"}, {Node: 3, Peer: "n3:2"}}
	if r.tune != nil {
		r.tune(&cfg)
	}
	must(r.t, cfg.Validate())
	n.Group = newGroup(cfg, zap.NewNop())
	n.seat = r.log.seat(id, n.machine, n.appoint)
	n.engine = n.seat
	n.calls = &counting{caller: n.caller, calls: map[string]int{}}
	n.caller = n.calls
	return n
}

// run runs a member and its peer port until the test ends.
func (r *rig) run(n *rigNode) {
	r.t.Helper()
	srv, err := rpc.NewServer(rpc.DefaultPeerServerConfig(), rpc.HandlerFunc(n.handle), zap.NewNop())
	must(r.t, err)
	ln, err := r.net.Listen(n.host + ":2")
	must(r.t, err)
	r.lives.Go(func() {
		if err := srv.Serve(r.ctx, ln); err != nil && !r.anyKilled {
			r.t.Error(err)
		}
	})
	r.lives.Go(func() {
		if err := n.Run(r.ctx); err != nil {
			r.t.Error(err)
		}
	})
}

func (n *rigNode) handle(ctx context.Context, call *rpc.Call) {
	if string(call.Method) == wire.MethodPeerHello {
		hello := rigHello{self: n.cfg.Node}
		call.Conn().Lift()
		call.Reply(hello.AppendHello)
		return
	}
	n.HandlePeer(ctx, call)
}

// rigHello introduces a member to another.
type rigHello struct{ self, to kv.NodeID }

func (h rigHello) AppendHello(dst []byte) []byte {
	return wire.AppendPeerHello(dst, &wire.PeerHello{
		Min: 1, Max: 1, Cluster: rigCluster(), Node: h.self,
	})
}

func (h rigHello) CheckHello(result []byte) (uint16, error) {
	var answer wire.PeerHello
	if err := wire.DecodePeerHello(result, &answer); err != nil {
		return 0, err
	}
	if answer.Node != h.to {
		return 0, fmt.Errorf("member %d answers for %d", answer.Node, h.to)
	}
	return 1, nil
}

// pause stops a member as SIGSTOP does: what it is sent waits, what it sends too.
func (n *rigNode) pause() {
	n.seat.pause()
	n.rig.net.Pause(n.host)
}

func (n *rigNode) resume() {
	n.rig.net.Resume(n.host)
	n.seat.resume()
}

// do carries out a command that must be carried out.
func (n *rigNode) do(c state.Command) state.Result {
	n.rig.t.Helper()
	result, err := n.Do(n.rig.ctx, c)
	if err != nil {
		n.rig.t.Fatalf("%T at node %d: %v", c, n.cfg.Node, err)
	}
	return result
}

// open opens a session.
func (n *rigNode) open(id byte, ttl time.Duration) locks.SessionID {
	n.rig.t.Helper()
	session := locks.SessionID{id}
	r := n.do(state.SessionOpen{ID: session, Name: "test", Owner: n.cfg.Node, TTL: ttl})
	if r.Lock.Code != locks.CodeOK {
		n.rig.t.Fatalf("session.open: %v", r.Lock)
	}
	return session
}

// acquire is an Acquire that does not fail.
func (n *rigNode) acquire(a locks.Acquire, poll time.Duration) locks.Result {
	n.rig.t.Helper()
	r, err := n.Acquire(n.rig.ctx, a, poll)
	if err != nil {
		n.rig.t.Errorf("lock.acquire at node %d: %v", n.cfg.Node, err)
	}
	return r
}

// wants is an exclusive acquire.
func wants(session locks.SessionID, holder uint64, name string, wait time.Duration) locks.Acquire {
	return locks.Acquire{
		Session: session, Holder: holder, Name: name, Kind: locks.KindExclusive, Wait: wait,
	}
}

// barrier lets a member see what has been committed.
func (n *rigNode) barrier() {
	n.rig.t.Helper()
	if _, err := n.Barrier(n.rig.ctx); err != nil {
		n.rig.t.Fatalf("barrier at node %d: %v", n.cfg.Node, err)
	}
}

// alive says whether a session is alive, by what a member has applied.
func (n *rigNode) alive(id locks.SessionID) (alive bool) {
	n.Read(func(s *state.State) { _, alive = s.Locks().Session(id) })
	return alive
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
