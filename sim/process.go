// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/gossip"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/vclock"
)

var errDead = errors.New("sim: this process is dead")

// process is one process of a host: a node, and what stands between it and the world.
type process struct {
	host *Host
	gate gate // shut while it is paused
	dead atomic.Bool
	node *node.Node
	stop context.CancelFunc

	// over is closed when Run has returned; err is what it returned, to be read after that.
	over chan struct{}
	err  error
}

func (p *process) config(number int) node.Config {
	h := p.host
	c := h.cluster
	name := fmt.Sprintf("%s process %d", h.Name, number)
	incarnations := &shared{rand: source(c.cfg.Seed, name+" incarnations")}
	cfg := node.DefaultConfig()
	cfg.Name, cfg.Dir = h.Name, h.Name
	if c.cfg.Grouped {
		cfg.Form = h.form()
	} else {
		cfg.Group = &gatedGroup{Group: &h.reach, process: p}
	}
	cfg.Now, cfg.Rejoin = h.Clock.Now, h.rejoin
	cfg.Rand = source(c.cfg.Seed, name)
	cfg.Random48 = func() uint64 { return incarnations.below(vclock.MaxIncarnation) }
	cfg.Listen = func(_ context.Context, addr string) (net.Listener, error) {
		return p.listen(addr)
	}
	cfg.Dial = p.dial
	cfg.GossipTransport = p.gossip
	cfg.OpenStores = func(_ string, log *zap.Logger) (*node.Stores, error) {
		return h.Disk.open(log, &p.gate)
	}
	if c.cfg.Tune != nil {
		c.cfg.Tune(h, &cfg)
	}
	return cfg
}

func (p *process) listen(addr string) (net.Listener, error) {
	if p.dead.Load() {
		return nil, errDead
	}
	l, err := p.host.cluster.Net.Listen(addr)
	if err != nil {
		return nil, err
	}
	return &gatedListener{Listener: l, gate: &p.gate}, nil
}

func (p *process) dial(ctx context.Context, addr string) (net.Conn, error) {
	if err := p.awaitGate(ctx); err != nil {
		return nil, err
	}
	nc, err := p.host.cluster.Net.Dial(ctx, p.host.Addr, addr)
	if err != nil {
		return nil, err
	}
	if p.dead.Load() { // it died while it dialed: nobody has reset this one
		return nil, errors.Join(errDead, nc.Close())
	}
	return &gatedConn{Conn: nc, gate: &p.gate}, nil
}

// awaitGate waits while the process is paused. A dead one gets nowhere.
func (p *process) awaitGate(ctx context.Context) error {
	for shut := p.gate.shutting(); shut != nil; shut = p.gate.shutting() {
		select {
		case <-shut:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if p.dead.Load() {
		return errDead
	}
	return nil
}

func (p *process) gossip(addr string) (gossip.Transport, error) {
	packets, err := p.host.cluster.Net.ListenPacket(addr)
	if err != nil {
		return nil, err
	}
	streams, err := p.listen(addr)
	if err != nil {
		return nil, errors.Join(err, packets.Close())
	}
	return gossip.NewSockets(&gatedPackets{PacketConn: packets, gate: &p.gate}, streams, p.dial)
}

// run runs the node to its end.
func (p *process) run(ctx context.Context) {
	p.err = p.node.Run(ctx)
	close(p.over)
}

func (p *process) ended() bool {
	select {
	case <-p.over:
		return true
	default:
		return false
	}
}

// gatedGroup is the group as a process reaches it that may be paused or dead.
type gatedGroup struct {
	node.Group
	process *process
}

// LastOpen implements node.Group.
func (g *gatedGroup) LastOpen(ctx context.Context, id kv.NodeID) (kv.Open, error) {
	if err := g.process.awaitGate(ctx); err != nil {
		return kv.Open{}, err
	}
	return g.Group.LastOpen(ctx, id)
}

// ConfirmOpen implements node.Group.
func (g *gatedGroup) ConfirmOpen(ctx context.Context, id kv.NodeID, opens []kv.Open) (
	kv.Verdict, kv.Instance, error,
) {
	if err := g.process.awaitGate(ctx); err != nil {
		return kv.VerdictUnknown, 0, err
	}
	return g.Group.ConfirmOpen(ctx, id, opens)
}

type gatedListener struct {
	net.Listener
	gate *gate
}

func (l *gatedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	l.gate.wait()
	if err != nil {
		return nil, err
	}
	return &gatedConn{Conn: nc, gate: l.gate}, nil
}

// gatedConn lets nothing in or out while its process is paused. Close passes: what the
// process closes by its own timers is the one thing that is seen of it.
type gatedConn struct {
	net.Conn
	gate *gate
}

func (c *gatedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.gate.wait()
	return n, err
}

func (c *gatedConn) Write(b []byte) (int, error) {
	c.gate.wait()
	return c.Conn.Write(b)
}

type gatedPackets struct {
	net.PacketConn
	gate *gate
}

func (c *gatedPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := c.PacketConn.ReadFrom(b)
	c.gate.wait()
	return n, addr, err
}

func (c *gatedPackets) WriteTo(b []byte, addr net.Addr) (int, error) {
	c.gate.wait()
	return c.PacketConn.WriteTo(b, addr)
}

// newProcess opens a node; nothing of it runs yet.
func newProcess(
	ctx context.Context, h *Host, number int, log *zap.Logger,
) (*process, error) {
	p := &process{host: h, over: make(chan struct{})}
	var err error
	p.node, err = node.Open(ctx, p.config(number), log)
	return p, err
}

// power is how a host's crash draws what a disk keeps.
func power(h *Host) *rand.Rand {
	return source(h.cluster.cfg.Seed, fmt.Sprintf("%s power loss %d", h.Name, h.processes))
}
