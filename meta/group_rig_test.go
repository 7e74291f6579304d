// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/storage"
)

// groupRig is a group of whole members, engines included, on a network and disks in
// memory. It must be made inside a bubble; when the test ends everything in it ends.
type groupRig struct {
	t       testing.TB
	net     *memnet.Network
	members []*groupMember // number 1 first
	tune    func(*Config)
	lives   sync.WaitGroup
}

// groupMember is one member, running or not. Its disk outlives its processes.
type groupMember struct {
	*rigNode                         // of the process that runs
	present  atomic.Pointer[rigNode] // the same, for other goroutines than the test's
	id       kv.NodeID
	host     string
	rig      *groupRig
	engine   *storage.Memory
	opens    []kv.Open
	starts   uint64 // how often it was restarted
	address  *memnet.Host
	stopping context.CancelFunc
	ended    chan error
	served   chan struct{} // closed when its port is
}

// newGroupRig founds a group that expects so many members and starts them, each once the
// one before is registered. It waits until the first ring is there.
func newGroupRig(t testing.TB, members int, tune func(*Config)) *groupRig {
	t.Helper()
	return newGroupRigWith(t, members, tune, func(*groupMember) {})
}

// newGroupRigWith is newGroupRig with something that happens when the cluster has been
// founded and nobody runs yet.
func newGroupRigWith(
	t testing.TB, members int, tune func(*Config), founded func(*groupMember),
) *groupRig {
	t.Helper()
	r := &groupRig{t: t, net: memnet.New(3), tune: tune}
	r.net.SetDefaults(memnet.Faults{Delay: time.Millisecond})
	t.Cleanup(r.end)
	for i := 1; i <= members; i++ {
		m := &groupMember{
			id: kv.NodeID(i), host: fmt.Sprintf("n%d", i), rig: r, engine: storage.NewMemory(),
			opens: []kv.Open{{Seq: 1, Nonce: uint64(i)}},
		}
		r.members = append(r.members, m)
		if i == 1 {
			_, err := Found(storage.OpenControl(m.engine, zap.NewNop()), state.Founding{
				Cluster: rigCluster(), Replicas: min(3, members), Partitions: 16, Expect: members,
				First: m.registration(), Open: m.opens[0],
			})
			must(t, err)
			founded(m)
		} else if got := r.members[0].do(m.registration()); got.Member.ID != m.id {
			t.Fatalf("member %d is number %d", i, got.Member.ID)
		}
		m.begin()
		m.show()
	}
	r.await(2*time.Minute, "there is a ring everywhere", func() bool {
		for _, m := range r.members {
			if v := m.View(); v == nil || v.Ring == nil {
				return false
			}
		}
		return true
	})
	return r
}

func (r *groupRig) end() {
	for _, m := range r.members {
		if m.rigNode != nil {
			must(r.t, m.stop())
		}
	}
	r.lives.Wait()
}

func (m *groupMember) registration() state.RegisterMember {
	return state.RegisterMember{Name: m.host, Weight: 1, Addresses: state.Addresses{
		Client: m.host + ":1", Peer: m.host + ":2", Gossip: m.host + ":3",
	}}
}

// begin runs a process of m with the opening that its disk has.
func (m *groupMember) begin() {
	r := m.rig
	r.t.Helper()
	host := r.net.Host(m.host)
	ctx, cancel := context.WithCancel(context.Background())
	n := &rigNode{rig: &rig{t: r.t, net: r.net, ctx: ctx, anyKilled: true}, host: m.host}
	cfg := DefaultConfig()
	cfg.Node, cfg.Cluster, cfg.Opens = m.id, rigCluster(), m.opens
	cfg.Control = storage.OpenControl(m.engine, zap.NewNop())
	cfg.Dial = func(ctx context.Context, addr string) (net.Conn, error) { return host.Dial(ctx, addr) }
	cfg.Hello = func(to kv.NodeID) rpc.Hello { return rigHello{self: m.id, to: to} }
	cfg.Alive = func(node kv.NodeID) bool { return r.members[node-1].running() != nil }
	cfg.Rand = rand.New(rand.NewPCG(uint64(m.id), uint64(len(m.opens))))
	cfg.Seats = []Seat{{Node: 1, Peer: "n1:2"}}
	if r.tune != nil {
		r.tune(&cfg)
	}
	var err error
	n.Group, err = Open(cfg, r.log(m.host))
	must(r.t, err)
	srv, err := rpc.NewServer(rpc.DefaultPeerServerConfig(), rpc.HandlerFunc(n.handle), zap.NewNop())
	must(r.t, err)
	ln, err := host.Listen(m.host + ":2")
	must(r.t, err)
	m.present.Store(n)
	m.rigNode, m.address, m.stopping, m.ended = n, host, cancel, make(chan error, 1)
	served := make(chan struct{})
	m.served = served
	r.lives.Go(func() {
		defer close(served)
		_ = srv.Serve(ctx, ln) // a host that is killed ends it with an error
	})
	ended := m.ended
	r.lives.Go(func() { ended <- n.Run(ctx) })
}

// running is the process that runs; nil where none does.
func (m *groupMember) running() *rigNode { return m.present.Load() }

// show shows the opening of a member's store to the group, as its node does.
func (m *groupMember) show() {
	m.rig.t.Helper()
	ctx, cancel := context.WithTimeout(m.ctx(), time.Minute)
	defer cancel()
	result, err := m.Do(ctx, state.OpenStore{Node: m.id, Opens: m.opens})
	must(m.rig.t, err)
	if result.Verdict != kv.VerdictConfirmed {
		m.rig.t.Fatalf("member %d: %v", m.id, result.Verdict)
	}
}

func (m *groupMember) ctx() context.Context { return m.rigNode.rig.ctx }

// stop ends the process in order.
func (m *groupMember) stop() error {
	m.present.Store(nil)
	m.stopping()
	m.rigNode = nil
	<-m.served // its port is free again
	return <-m.ended
}

// kill ends the process at once: what it still does reaches nobody, and of what was not
// synced nothing is left.
func (m *groupMember) kill() {
	m.present.Store(nil)
	m.rig.net.Kill(m.host)
	m.engine = m.engine.Crash(nil)
	m.stopping()
	<-m.ended
	m.rigNode = nil
}

// restart runs a process again, which opens the store once more.
func (m *groupMember) restart() {
	last := m.opens[len(m.opens)-1]
	m.starts++
	m.opens = append(m.opens[:len(m.opens):len(m.opens)],
		kv.Open{Seq: last.Seq + 1, Nonce: 1000*uint64(m.id) + m.starts})
	m.begin()
}

// leader is the member that leads, by the highest term; nil where none does.
func (r *groupRig) leader() (best *groupMember) {
	var term uint64
	for _, m := range r.members {
		if m.rigNode == nil {
			continue
		}
		if s := m.Group.engine.standing(); s.Leads && s.Term > term {
			best, term = m, s.Term
		}
	}
	return best
}

// others are the members that run, but for some.
func (r *groupRig) others(not ...*groupMember) (rest []*groupMember) {
next:
	for _, m := range r.members {
		for _, n := range not {
			if m == n {
				continue next
			}
		}
		if m.rigNode != nil {
			rest = append(rest, m)
		}
	}
	return rest
}

// await demands that something becomes true within a time of the bubble's clock.
func (r *groupRig) await(limit time.Duration, what string, is func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(limit); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, m := range r.members {
				if m.rigNode != nil {
					r.t.Logf("%s: %+v, %+v", m.host, m.Status(), *m.Group.engine.standing())
				}
			}
			r.t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// log is a member's log: shown with DYNO_META_LOG=1, for who looks for a fault.
func (r *groupRig) log(host string) *zap.Logger {
	if os.Getenv("DYNO_META_LOG") == "" {
		return zap.NewNop()
	}
	return zaptest.NewLogger(r.t, zaptest.Level(zap.InfoLevel)).Named(host)
}
