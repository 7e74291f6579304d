// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
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
	"github.com/dyno-kv/dyno/wire"
)

// engineRig is a group of engines on a network and disks in memory. It must be made
// inside a bubble; when the test ends everything in it ends.
type engineRig struct {
	t       testing.TB
	net     *memnet.Network
	members []*engineMember // number 1 first
	cfg     EngineConfig
	random  *rand.Rand
	log     *committedLog
	lives   sync.WaitGroup
	verbose zap.AtomicLevel
	// others are whom a member takes for all other members, and ask says hello to one; nil:
	// there is nobody.
	others []kv.NodeID
	ask    func(context.Context, kv.NodeID, *wire.MetaHello) (wire.MetaHello, error)
}

// engineMember is one member, running or not. Its disk outlives its processes.
type engineMember struct {
	rig     *engineRig
	id      kv.NodeID
	host    string
	disk    disk
	nonce   uint64
	deaf    atomic.Bool // it is not fed by a tail
	life    *engineLife
	verdict kv.Verdict // of its newest opening

	mu    sync.Mutex
	leads []leadership // all that its processes were told
}

// disk is what survives a process.
type disk struct {
	engine *storage.Memory
	opens  []kv.Open
}

func newDisk() disk { return disk{engine: storage.NewMemory()} }

// copied is a copy of a disk whose process has ended.
func (d disk) copied() disk {
	return disk{engine: d.engine.Crash(nil), opens: append([]kv.Open(nil), d.opens...)}
}

// engineLife is one process of a member.
type engineLife struct {
	*engine
	machine *testMachine
	host    *memnet.Host
	ctx     context.Context
	stop    context.CancelFunc
	ended   chan error    // what run returned
	served  chan struct{} // closed when its port is
}

// newEngineRig founds a group that expects so many members, and starts them. Each is
// registered and confirmed before the next one starts.
func newEngineRig(t testing.TB, seed uint64, members int, tune func(*EngineConfig)) *engineRig {
	t.Helper()
	r := &engineRig{
		t: t, net: memnet.New(seed), cfg: DefaultEngineConfig(),
		random: rand.New(rand.NewPCG(seed, 1)), log: newCommittedLog(t),
		verbose: zap.NewAtomicLevelAt(zap.ErrorLevel),
	}
	r.net.SetDefaults(memnet.Faults{Delay: time.Millisecond})
	if tune != nil {
		tune(&r.cfg)
	}
	t.Cleanup(r.end)
	for i := 1; i <= members; i++ {
		r.members = append(r.members, &engineMember{
			rig: r, id: kv.NodeID(i), host: fmt.Sprintf("n%d", i), disk: newDisk(),
		})
	}
	first := r.members[0]
	control := storage.OpenControl(first.disk.engine, zap.NewNop())
	first.disk.opens = []kv.Open{{Seq: 1, Nonce: 1}}
	first.nonce = 1
	s, err := Found(control, state.Founding{
		Cluster: rigCluster(), Replicas: min(3, members), Partitions: 16, Expect: members,
		First: first.registration(), Open: first.disk.opens[0],
	})
	must(t, err)
	r.log.begin(s)
	first.begin()
	first.confirm()
	for _, m := range r.members[1:] {
		r.do(m.registration())
		m.start()
	}
	return r
}

// end stops what runs.
func (r *engineRig) end() {
	for _, m := range r.members {
		if m.life != nil {
			must(r.t, m.stop())
		}
	}
	r.lives.Wait()
}

func (m *engineMember) registration() state.RegisterMember {
	return state.RegisterMember{Name: m.host, Weight: 1, Addresses: state.Addresses{
		Client: m.host + ":1", Peer: m.host + ":2", Gossip: m.host + ":3",
	}}
}

// start opens the store once more and runs a process, which the group judges.
func (m *engineMember) start() {
	m.rig.t.Helper()
	m.startAlone()
	m.confirm()
}

// startAlone is start for a time in which nobody leads.
func (m *engineMember) startAlone() {
	m.rig.t.Helper()
	m.nonce++
	seq := uint64(1)
	if n := len(m.disk.opens); n > 0 {
		seq = m.disk.opens[n-1].Seq + 1
	}
	m.disk.opens = append(m.disk.opens, kv.Open{Seq: seq, Nonce: 100*uint64(m.id) + m.nonce})
	m.begin()
}

// begin runs a process with the opening that the disk has.
func (m *engineMember) begin() {
	m.rig.t.Helper()
	must(m.rig.t, m.tryBegin())
}

func (m *engineMember) tryBegin() error {
	r := m.rig
	log := zaptest.NewLogger(r.t, zaptest.Level(r.verbose)).Named(m.host)
	l := &engineLife{
		machine: &testMachine{log: r.log}, host: r.net.Host(m.host), ended: make(chan error, 1),
		served: make(chan struct{}),
	}
	var err error
	l.engine, err = openEngine(r.cfg, engineEnv{
		node: m.id, open: m.disk.opens[len(m.disk.opens)-1],
		control: storage.OpenControl(m.disk.engine, zap.NewNop()), machine: l.machine,
		dial:  func(ctx context.Context, addr string) (net.Conn, error) { return l.host.Dial(ctx, addr) },
		hello: func(to kv.NodeID) rpc.Hello { return rigHello{self: m.id, to: to} },
		rand:  rand.New(rand.NewPCG(r.random.Uint64(), 1)),
		address: func(node kv.NodeID) string {
			return fmt.Sprintf("n%d:2", node)
		},
		alive:     func(node kv.NodeID) bool { return r.members[node-1].life != nil },
		lead:      m.appointed,
		witnesses: func() []kv.NodeID { return r.others }, ask: r.ask,
	}, log)
	if err != nil {
		return err
	}
	srv, err := rpc.NewServer(rpc.DefaultPeerServerConfig(), rpc.HandlerFunc(
		func(_ context.Context, call *rpc.Call) { l.handle(m.id, call) }), zap.NewNop())
	if err != nil {
		return err
	}
	ln, err := l.host.Listen(m.host + ":2")
	if err != nil {
		return err
	}
	l.ctx, l.stop = context.WithCancel(context.Background())
	r.lives.Go(func() {
		defer close(l.served)
		_ = srv.Serve(l.ctx, ln) // a killed host ends it with an error
	})
	r.lives.Go(func() { l.ended <- l.engine.run(l.ctx) })
	r.lives.Go(func() { r.tail(m, l) })
	m.life = l
	return nil
}

func (l *engineLife) handle(self kv.NodeID, call *rpc.Call) {
	switch string(call.Method) {
	case wire.MethodPeerHello:
		call.Conn().Lift()
		call.Reply(rigHello{self: self}.AppendHello)
	case wire.MethodMetaHello:
		l.handleHello(call)
	case wire.MethodMetaStep:
		l.handleStep(call)
	case wire.MethodMetaSnapshot:
		l.handleSnapshot(call)
	default:
		call.ReplyError(wire.FormatError(wire.CodeUnknownMethod, "no such method"))
	}
}

func (m *engineMember) appointed(office leadership) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leads = append(m.leads, office)
}

// offices returns all leaderships that the member was told of.
func (m *engineMember) offices() []leadership {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.leads)
}

// tail feeds a member that raft does not feed with what is committed, as the services do.
func (r *engineRig) tail(m *engineMember, l *engineLife) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if !l.status.Load().Fed && !m.deaf.Load() {
				l.machine.follow()
			}
		case <-l.ctx.Done():
			return
		}
	}
}

// stop ends the process of m in order, and returns what its run did.
func (m *engineMember) stop() error {
	l := m.life
	m.life = nil
	l.stop()
	err := <-l.ended
	<-l.served
	m.disk = m.disk.copied()
	return err
}

// kill ends the process of m at once, as power loss does. Of what is not synced the disk
// keeps what chance leaves.
func (m *engineMember) kill() {
	l := m.life
	m.life = nil
	m.rig.net.Kill(m.host)
	m.disk.engine = m.disk.engine.Crash(m.rig.random)
	l.stop() // what is left of it ends on its own time
}

// leader returns the member that leads, by the highest term; nil where none does.
func (r *engineRig) leader() *engineMember {
	var best *engineMember
	for _, m := range r.members {
		if m.life == nil {
			continue
		}
		s := m.life.status.Load()
		if s.Leads && (best == nil || s.Term > best.life.status.Load().Term) {
			best = m
		}
	}
	return best
}

// awaitLeader waits for a leader, other than any of these.
func (r *engineRig) awaitLeader(not ...*engineMember) *engineMember {
	r.t.Helper()
	var found *engineMember
	r.await(30*time.Second, "somebody leads", func() bool {
		found = r.leader()
		for _, m := range not {
			if found == m {
				return false
			}
		}
		return found != nil
	})
	return found
}

// propose has whoever leads carry out a command.
func (r *engineRig) propose(c state.Command) (state.Result, uint64, error) {
	m := r.leader()
	if m == nil {
		return state.Result{}, 0, errNotLeader
	}
	return m.propose(c)
}

func (m *engineMember) propose(c state.Command) (state.Result, uint64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	results, index, err := m.life.engine.propose(ctx, [][]byte{state.AppendCommand(nil, c)})
	if err != nil {
		return state.Result{}, 0, err
	}
	return results[0], index, nil
}

// do carries out a command, with whoever leads, until it is done.
func (r *engineRig) do(c state.Command) state.Result {
	r.t.Helper()
	var result state.Result
	r.await(2*time.Minute, fmt.Sprintf("%T is carried out", c), func() bool {
		var err error
		result, _, err = r.propose(c)
		return err == nil
	})
	return result
}

// confirm shows the present opening of a member's store to the group, as node does.
func (m *engineMember) confirm() {
	m.rig.t.Helper()
	result := m.rig.do(state.OpenStore{Node: m.id, Opens: m.disk.opens})
	m.verdict = result.Verdict
}

// await demands that something becomes true within a time of the bubble's clock.
func (r *engineRig) await(limit time.Duration, what string, is func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(limit); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, m := range r.members {
				if m.life != nil {
					r.t.Logf("%s: %+v, applied %d", m.host, *m.life.status.Load(), m.life.machine.applied())
				}
			}
			r.t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// awaitVoters waits until so many members vote, by the leader's word, and all of them have
// applied what it has.
func (r *engineRig) awaitVoters(voters int) {
	r.t.Helper()
	r.await(2*time.Minute, fmt.Sprintf("%d members vote", voters), func() bool {
		m := r.leader()
		if m == nil {
			return false
		}
		s := m.life.status.Load()
		return len(s.Voters) == voters && len(s.Learners) == 0 && r.level(s.Voters, m)
	})
}

// level reports whether seats run and have applied what the leader has.
func (r *engineRig) level(seats []state.RaftID, leader *engineMember) bool {
	for _, id := range seats {
		m := r.members[id.Node()-1]
		if m.life == nil || m.life.status.Load().Raft != id ||
			m.life.machine.applied() < leader.life.machine.applied() {
			return false
		}
	}
	return true
}
