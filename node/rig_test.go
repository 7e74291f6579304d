// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/gossip"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// rig is a cluster of whole nodes inside a bubble, on a network and disks in memory. It
// must be made inside the bubble; when the test ends everything in it ends.
type rig struct {
	t       *testing.T
	net     *memnet.Network
	group   *groupInMemory
	members []*member // in order of their numbers, which begin at 1
	random  *sharedRandom
	tune    func(*Config) // may be nil
	formed  bool          // its nodes run their metadata group; group is not asked then

	lives sync.WaitGroup
}

// member is one member, alive or not. Its disk outlives its processes.
type member struct {
	ring.Member
	rig  *rig
	host string
	data *storage.Memory
	ctrl *storage.Memory
	boot string
	life *life // nil where no process runs
}

// life is one process of a member.
type life struct {
	node  *Node
	stop  context.CancelFunc
	ended chan error // receives what Run returned
	// dead says that the process is no more: what is left of its goroutines reaches
	// nobody.
	dead atomic.Bool
}

// newRig forms a cluster. No node runs yet.
func newRig(t *testing.T, nodes, replicas int) *rig {
	t.Helper()
	const seed = 7
	r := &rig{t: t, net: memnet.New(seed), random: newSharedRandom(seed)}
	r.net.SetDefaults(memnet.Faults{Delay: time.Millisecond})
	var members []ring.Member
	for i := 1; i <= nodes; i++ {
		host := fmt.Sprintf("10.0.0.%d", i)
		m := ring.Member{
			ID: kv.NodeID(i), Name: fmt.Sprintf("n%d", i), Weight: 1, Instance: kv.Instance(i),
			Client: host + ":4610", Peer: host + ":4611", Gossip: host + ":4612",
			Admin: host + ":4613",
		}
		members = append(members, m)
		r.members = append(r.members, &member{
			Member: m, rig: r, host: host, boot: "first boot",
			data: storage.NewMemory(), ctrl: storage.NewMemory(),
		})
	}
	state, err := ring.Form(ring.ClusterID{1, 2, 3}, replicas, 16, members, 1)
	must(t, err)
	current, err := ring.New(state)
	must(t, err)
	r.group = &groupInMemory{
		ring: current, buckets: []kv.Bucket{kv.BuiltinBucket(replicas)},
		opens: make(map[kv.NodeID]kv.Open),
		began: make(map[uint16]kv.PurgeEpoch), purged: make(map[uint16]kv.PurgeEpoch),
	}
	t.Cleanup(r.end)
	return r
}

// end stops what runs, and lets memberlist's stragglers end while the bubble's time
// still goes on.
func (r *rig) end() {
	for _, m := range r.members {
		if m.life != nil {
			must(r.t, m.stop())
		}
	}
	r.lives.Wait()
	time.Sleep(time.Minute)
}

// config is that of a process of m.
func (m *member) config(l *life) Config {
	r := m.rig
	cfg := DefaultConfig()
	cfg.Name, cfg.Dir, cfg.Group = m.Name, m.Name, r.group
	cfg.Storage.LowWater, cfg.Storage.HighWater = 0, 0
	cfg.Rand = rand.New(rand.NewPCG(r.random.Uint64(), 1))
	cfg.Random48 = func() uint64 { return max(1, r.random.Uint64()&vclock.MaxIncarnation) }
	cfg.Listen = func(_ context.Context, addr string) (net.Listener, error) {
		return r.net.Listen(addr)
	}
	cfg.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
		if l.dead.Load() {
			return nil, errDead
		}
		return r.net.Dial(ctx, m.host, addr)
	}
	cfg.GossipTransport = func(addr string) (gossip.Transport, error) {
		packets, err := r.net.ListenPacket(addr)
		if err != nil {
			return nil, err
		}
		streams, err := r.net.Listen(addr)
		if err != nil {
			return nil, errors.Join(err, packets.Close())
		}
		return gossip.NewSockets(packets, streams, cfg.Dial)
	}
	cfg.OpenStores = func(string, *zap.Logger) (*Stores, error) {
		return &Stores{
			Data: m.data, Control: storage.OpenControl(m.ctrl, zap.NewNop()), Boot: m.boot,
			Release: func() error { return nil },
		}, nil
	}
	if r.formed {
		cfg.Group, cfg.Form = nil, m.form()
	}
	if r.tune != nil {
		r.tune(&cfg)
	}
	return cfg
}

var errDead = errors.New("this process has been killed")

// start runs a process of m.
func (m *member) start() *life {
	m.rig.t.Helper()
	log := zaptest.NewLogger(m.rig.t, zaptest.Level(zap.ErrorLevel)).Named(m.Name)
	l := &life{ended: make(chan error, 1)}
	var err error
	l.node, err = Open(m.rig.t.Context(), m.config(l), log)
	must(m.rig.t, err)
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	m.rig.lives.Go(func() { l.ended <- l.node.Run(ctx) })
	m.life = l
	return l
}

// stop ends the process of m in order, and returns what its Run did.
func (m *member) stop() error {
	l := m.life
	m.life = nil
	l.stop()
	return <-l.ended
}

// kill ends the process of m at once. Of what is not synced the disk keeps what chance
// leaves. Where the power fails the next process finds that the machine has booted.
func (m *member) kill(power bool) {
	l, r := m.life, m.rig
	m.life = nil
	l.dead.Store(true)
	r.net.Kill(m.host)
	m.data = m.data.Crash(r.random.source())
	m.ctrl = m.ctrl.Crash(r.random.source())
	if power {
		m.boot += " and another"
	}
	l.stop() // what is left of it ends on its own time
}

// startAll runs every member and waits until all are ready.
func (r *rig) startAll() {
	r.t.Helper()
	for _, m := range r.members {
		m.start()
		eventually(r.t, time.Minute, "it has its number", func() bool {
			return !r.formed || m.life.node.ID() == m.ID
		})
	}
	r.awaitReady()
}

// awaitReady waits until every process that runs is confirmed and connected.
func (r *rig) awaitReady() {
	r.t.Helper()
	var running []kv.NodeID
	for _, m := range r.members {
		if m.life != nil {
			running = append(running, m.ID)
		}
	}
	eventually(r.t, time.Minute, "all are ready", func() bool {
		for _, m := range r.members {
			if m.life != nil && !(m.life.node.Status().Confirmed && m.life.node.Connected(running)) {
				return false
			}
		}
		return true
	})
}

// connect connects to m as a client on a host of its own, until stop is called.
func (r *rig) connect(m *member) (*session, error) {
	c, stop, err := rpc.Dial(context.Background(), r.net.Dialer("10.9.9.9"), m.Client,
		rpc.DefaultClientConfig(), zap.NewNop())
	return &session{Client: c, stop: stop}, err
}

// client connects to m until the test ends.
func (m *member) client() *session {
	m.rig.t.Helper()
	s, err := m.rig.connect(m)
	must(m.rig.t, err)
	m.rig.t.Cleanup(s.stop)
	return s
}

// session is a client's connection.
type session struct {
	*rpc.Client
	stop func()
}

func (s *session) put(q wire.PutRequest) error {
	_, err := s.Call(context.Background(), wire.MethodPut, func(dst []byte) []byte {
		return wire.AppendPutRequest(dst, &q)
	})
	return err
}

func (s *session) get(q wire.GetRequest) (wire.GetResult, error) {
	var result wire.GetResult
	b, err := s.Call(context.Background(), wire.MethodGet, func(dst []byte) []byte {
		return wire.AppendGetRequest(dst, &q)
	})
	if err == nil {
		err = wire.DecodeGetResult(b, &result)
	}
	return result, err
}

func (s *session) status() (wire.ClusterStatusResult, error) {
	var result wire.ClusterStatusResult
	b, err := s.Call(context.Background(), wire.MethodClusterStatus, nil)
	if err == nil {
		err = wire.DecodeClusterStatusResult(b, &result)
	}
	return result, err
}

// codeOf is the code of an error that a node answered with; empty for others.
func codeOf(err error) wire.Code {
	var told *rpc.RemoteError
	if !errors.As(err, &told) {
		return ""
	}
	code, _ := wire.ParseError(told.Text)
	return code
}

// sharedRandom is a source of chance for all goroutines of a rig.
type sharedRandom struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func newSharedRandom(seed uint64) *sharedRandom {
	return &sharedRandom{rand: rand.New(rand.NewPCG(seed, seed))}
}

func (s *sharedRandom) Uint64() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rand.Uint64()
}

// source is a new source for one goroutine.
func (s *sharedRandom) source() *rand.Rand { return rand.New(rand.NewPCG(s.Uint64(), 1)) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually demands that something becomes true within a time of the bubble's clock.
func eventually(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
