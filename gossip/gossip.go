// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
)

var (
	// ErrRan is returned by a second Run.
	ErrRan = errors.New("gossip: ran already: open another")
	// ErrClosed is returned by Run after Close.
	ErrClosed = errors.New("gossip: closed")
)

// conflictPushPulls times the push-pull interval is how long a report of a cloned
// identity is shown after the last: a clone exchanges with a given node once per
// interval and member.
const conflictPushPulls = 20

// farewellRounds is for how many rounds of gossip a leaving node stays to say farewell.
// In one round up to Config.GossipNodes others hear it, and each passes it on by itself;
// two more are for packets that are lost. memberlist would stay until it has sent all its
// copies, and, where the others leave at the same time, until the timeout.
const farewellRounds = 3

// updateTimeout is how long a change of the meta waits for memberlist to send it,
// and so, at most, how long the next change waits. The change stays queued after
// that: running out of it loses nothing.
const updateTimeout = 200 * time.Millisecond

// Gossip is this node's place in the gossip. Open it, Run it, Close it.
type Gossip struct {
	// Immutable after Open.
	cfg        Config
	log        *zap.Logger
	logs       *logWriter
	list       *memberlist.Memberlist
	transport  *guard
	roster     *roster
	local      *localMeta
	addr       string
	publishNow chan struct{} // capacity 1: the meta changed
	rejoinNow  chan struct{} // capacity 1: the registered members changed
	closing    chan struct{} // closed when Close begins
	closed     chan struct{} // closed when Close ends

	view        atomic.Pointer[View]
	rejoinTried atomic.Uint64
	rejoinDone  atomic.Uint64

	rng       *rand.Rand // owned by the re-join loop
	repeatRng *rand.Rand // owned by the publish loop

	// Guarded by mu.
	mu       sync.Mutex
	watchers []chan struct{} // one per room that asked, in order: a map's would be by address
	ran      chan struct{}   // closed when Run ends; nil before Run
	shut     bool            // Close began
}

// Open starts to listen and to answer; until Run, this node looks for nobody. It
// takes cfg.Transport over even where it fails. It returns all faults of cfg, or
// what kept it from listening.
func Open(cfg Config, log *zap.Logger) (*Gossip, error) {
	if err := cfg.Validate(); err != nil {
		return nil, errors.Join(err, shutdownGiven(cfg))
	}
	logs := newLogWriter(log)
	logger := logs.logger()
	transport := cfg.Transport
	if transport == nil {
		var err error
		if transport, cfg.BindPort, err = listen(cfg, logger); err != nil {
			return nil, err
		}
	}
	if cfg.AdvertisePort == 0 {
		cfg.AdvertisePort = cfg.BindPort
	}
	tag := clusterTag(cfg.ClusterID)
	g := &Gossip{
		cfg:        cfg,
		log:        log,
		logs:       logs,
		transport:  newGuard(transport),
		roster:     newRoster(cfg.Name, tag, conflictPushPulls*cfg.PushPullInterval),
		local:      &localMeta{tag: tag, meta: cfg.meta()},
		publishNow: make(chan struct{}, 1),
		rejoinNow:  make(chan struct{}, 1),
		closing:    make(chan struct{}),
		closed:     make(chan struct{}),
		rng:        cfg.Rand,
		repeatRng:  rand.New(rand.NewPCG(cfg.Rand.Uint64(), cfg.Rand.Uint64())),
	}
	if err := g.start(logs); err != nil {
		return nil, errors.Join(err, g.transport.Shutdown())
	}
	return g, nil
}

// shutdownGiven shuts down the transport of a configuration that is refused.
func shutdownGiven(cfg Config) error {
	if cfg.Transport == nil {
		return nil
	}
	return cfg.Transport.Shutdown()
}

// start creates the memberlist: it listens and probes from here on.
func (g *Gossip) start(logs *logWriter) error {
	ip, port, err := g.transport.FinalAdvertiseAddr(g.cfg.AdvertiseAddr, g.cfg.AdvertisePort)
	if err != nil {
		return fmt.Errorf("gossip: find the address to advertise: %w", err)
	}
	g.addr = net.JoinHostPort(ip.String(), strconv.Itoa(port))
	conf := g.cfg.memberlist()
	conf.Logger = logs.logger()
	conf.Transport = g.transport
	h := &hooks{roster: g.roster, local: g.local}
	conf.Delegate, conf.Events, conf.Alive, conf.Merge, conf.Conflict = h, h, h, h, h
	list, err := memberlist.Create(conf)
	if err != nil {
		return fmt.Errorf("gossip: start at %s: %w", g.addr, err)
	}
	g.list = list
	v := g.roster.view(time.Now())
	g.view.Store(&v)
	return nil
}

// memberlist returns what memberlist needs of c; the caller adds the hooks.
func (c Config) memberlist() *memberlist.Config {
	m := memberlist.DefaultLANConfig()
	m.Name = c.Name
	m.Label = c.label()
	m.BindAddr, m.BindPort = c.BindAddr, c.BindPort
	m.AdvertiseAddr, m.AdvertisePort = c.AdvertiseAddr, c.AdvertisePort
	m.Keyring = c.Keyring
	m.ProbeInterval, m.ProbeTimeout = c.ProbeInterval, c.ProbeTimeout
	m.SuspicionMult, m.SuspicionMaxTimeoutMult = c.SuspicionMult, c.SuspicionMaxMult
	m.AwarenessMaxMultiplier = c.AwarenessMult
	m.GossipInterval, m.GossipNodes = c.GossipInterval, c.GossipNodes
	m.RetransmitMult = c.RetransmitMult
	m.PushPullInterval = c.PushPullInterval
	m.TCPTimeout = c.StreamTimeout
	m.DeadNodeReclaimTime = c.DeadNodeReclaimTime
	// The dead are remembered, and told of their death, for as long as their names
	// are reserved.
	m.GossipToTheDeadTime = c.DeadNodeReclaimTime
	// A packet holds a few hundred bytes that hardly compress, and the two cores
	// have better things to do.
	m.EnableCompression = false
	return m
}

// Run keeps the view, publishes this node's meta and joins lost members again,
// until ctx ends or Close is called; both are a normal end. It waits for all that
// it started, at most three times Config.StreamTimeout longer than ctx (one exchange:
// dial, write, read). It may run once.
func (g *Gossip) Run(ctx context.Context) error {
	ran, err := g.begin()
	if err != nil {
		return err
	}
	defer close(ran)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var loops sync.WaitGroup
	loops.Go(func() { g.keepView(ctx) })
	loops.Go(func() { g.publish(ctx) })
	loops.Go(func() { g.keepJoined(ctx) })
	select {
	case <-ctx.Done():
	case <-g.closing:
	}
	cancel()
	loops.Wait()
	return nil
}

func (g *Gossip) begin() (chan struct{}, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.shut:
		return nil, ErrClosed
	case g.ran != nil:
		return nil, ErrRan
	}
	g.ran = make(chan struct{})
	return g.ran, nil
}

// Close ends Run and waits for it, says farewell for a few rounds of gossip, at most
// Config.LeaveTimeout, and stops. Every call returns after the first one is done.
//
// memberlist does not wait for its own goroutines: a probe on its way may live on
// for a few ProbeIntervals, a stream for StreamTimeout. They can send nothing any
// more (see guard), and end by themselves.
func (g *Gossip) Close() error {
	first, ran := g.beginClose()
	if !first {
		<-g.closed
		return nil
	}
	defer close(g.closed)
	close(g.closing)
	if ran != nil {
		<-ran
	}
	stay := min(g.cfg.LeaveTimeout, farewellRounds*g.cfg.GossipInterval)
	if err := g.list.Leave(stay); err != nil {
		// Not every copy of the farewell is out. Who has not heard of it by now hears it
		// from others, or finds out.
		g.log.Debug("farewell cut short", zap.Error(err))
	}
	if err := g.list.Shutdown(); err != nil {
		return fmt.Errorf("gossip: shut down: %w", err)
	}
	return nil
}

func (g *Gossip) beginClose() (first bool, ran chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	first, g.shut = !g.shut, true
	return first, g.ran
}

// Addr returns the host:port at which others reach this node's gossip: what it
// registers with the metadata group.
func (g *Gossip) Addr() string { return g.addr }

// View returns what this node believes now. It takes no lock.
func (g *Gossip) View() View { return *g.view.Load() }

// Alive reports whether gossip believes that node runs; of this node it does until
// Close. It takes no lock. It is an opinion, seconds old, and others hold different
// ones (TRAPS N2).
func (g *Gossip) Alive(node kv.NodeID) bool { return g.view.Load().Alive(node) }

// RingVersions returns the ring versions that live nodes say they hold.
func (g *Gossip) RingVersions() map[kv.NodeID]uint64 { return g.view.Load().RingVersions() }

// Stats returns the counters since Open.
func (g *Gossip) Stats() Stats {
	return Stats{
		MetaRefused:    g.roster.metaRefused.Load(),
		ForeignRefused: g.roster.foreignRefused.Load(),
		RoomRefused:    g.roster.roomRefused.Load(),
		Conflicts:      g.roster.conflictCount.Load(),
		StrayMessages:  g.roster.strayMessages.Load(),
		RejoinTried:    g.rejoinTried.Load(),
		RejoinDone:     g.rejoinDone.Load(),
		LogsDropped:    g.logs.dropped.Load(),
	}
}

// Watch returns a channel of capacity 1 that holds a value whenever the view has
// changed since it was last received from; read the newest by View. A watcher that
// does not receive holds up nobody. The caller must call stop in the end.
func (g *Gossip) Watch() (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	g.mu.Lock()
	g.watchers = append(g.watchers, c)
	g.mu.Unlock()
	return c, func() {
		g.mu.Lock()
		g.watchers = slices.DeleteFunc(g.watchers, func(w chan struct{}) bool { return w == c })
		g.mu.Unlock()
	}
}

// SetRingVersion tells the others which ring this node holds, at once.
func (g *Gossip) SetRingVersion(version uint64) {
	g.setUrgent(func(m *Meta) { m.RingVersion = version })
}

// SetState tells the others how this node is, at once. Until then it says StateReady.
func (g *Gossip) SetState(s State) { g.setUrgent(func(m *Meta) { m.State = s }) }

// SetLoad tells the others how busy this node is, at most once per
// Config.LoadInterval. It is cheap and may be called often.
func (g *Gossip) SetLoad(load uint32) {
	g.local.change(func(m *Meta) { m.Load = load })
}

func (g *Gossip) setUrgent(f func(*Meta)) {
	if g.local.change(f) {
		poke(g.publishNow)
	}
}
