// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// latency of each packet and dial in the test network.
const latency = 2 * time.Millisecond

// testNet is a network of channels, so that a bubble can see it wait.
type testNet struct {
	mu    sync.Mutex
	hosts map[string]*testHost
	cut   map[[2]string]bool
	held  map[string]bool
}

func newTestNet() *testNet {
	return &testNet{
		hosts: make(map[string]*testHost),
		cut:   make(map[[2]string]bool),
		held:  make(map[string]bool),
	}
}

// testHost is a memberlist.Transport.
type testHost struct {
	net     *testNet
	ip      net.IP
	port    int
	packets chan *memberlist.Packet
	streams chan net.Conn
	done    chan struct{}
	once    sync.Once
}

type testAddr string

func (testAddr) Network() string  { return "test" }
func (a testAddr) String() string { return string(a) }

// host takes an address over, also from a host that is gone.
func (n *testNet) host(addr string) *testHost {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		panic(err)
	}
	h := &testHost{
		net: n, ip: net.ParseIP(host),
		packets: make(chan *memberlist.Packet, 1024), // the kernel's buffer: full means lost
		streams: make(chan net.Conn, 64),
		done:    make(chan struct{}),
	}
	fmt.Sscan(port, &h.port)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[addr] = h
	return h
}

// isolate cuts, or heals, all links between addr and others.
func (n *testNet) isolate(addr string, on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for other := range n.hosts {
		n.cut[[2]string{addr, other}], n.cut[[2]string{other, addr}] = on, on
	}
}

// hold keeps, or lets go, what goes from and to addr, as a process does that stands
// still: its packets wait, its streams are not answered.
func (n *testNet) hold(addr string, on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held[addr] = on
}

func (n *testNet) waits(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.held[from] || n.held[to]
}

var (
	errRefused = errors.New("connection refused")
	errLost    = fmt.Errorf("no route: %w", os.ErrDeadlineExceeded)
)

func (n *testNet) reach(from, to string) (*testHost, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[to]
	switch {
	case n.cut[[2]string{from, to}]:
		return nil, errLost
	case h == nil || h.dead():
		return nil, errRefused
	}
	return h, nil
}

func (h *testHost) addr() string { return net.JoinHostPort(h.ip.String(), fmt.Sprint(h.port)) }

func (h *testHost) dead() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

func (h *testHost) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return h.ip, h.port, nil
}

func (h *testHost) WriteTo(b []byte, to string) (time.Time, error) {
	p := &memberlist.Packet{Buf: append([]byte(nil), b...), From: testAddr(h.addr())}
	var deliver func()
	deliver = func() {
		if h.net.waits(h.addr(), to) {
			time.AfterFunc(latency, deliver)
			return
		}
		dst, err := h.net.reach(h.addr(), to)
		if err != nil || h.dead() {
			return
		}
		p.Timestamp = time.Now()
		select {
		case dst.packets <- p:
		default:
		}
	}
	time.AfterFunc(latency, deliver)
	return time.Now(), nil
}

func (h *testHost) PacketCh() <-chan *memberlist.Packet { return h.packets }

func (h *testHost) DialTimeout(to string, timeout time.Duration) (net.Conn, error) {
	time.Sleep(latency)
	dst, err := h.net.reach(h.addr(), to)
	if err == nil && (h.dead() || h.net.waits(h.addr(), to)) {
		err = errLost
	}
	if errors.Is(err, errLost) {
		time.Sleep(timeout)
	}
	if err != nil {
		return nil, err
	}
	mine, theirs := net.Pipe()
	select {
	case dst.streams <- theirs:
		return mine, nil
	default:
		return nil, errRefused
	}
}

func (h *testHost) StreamCh() <-chan net.Conn { return h.streams }

// Shutdown is also how a host crashes: nothing goes in or out any more.
func (h *testHost) Shutdown() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// testNode is a Gossip that runs.
type testNode struct {
	*Gossip
	host *testHost
	stop func()
}

func testConfig(i int) Config {
	cfg := DefaultConfig()
	cfg.Name = fmt.Sprintf("n%d", i)
	cfg.NodeID = kv.NodeID(i)
	cfg.Instance = kv.Instance(100 + i)
	cfg.ClusterID = "test-cluster"
	cfg.ClientAddr = fmt.Sprintf("10.0.0.%d:4610", i)
	cfg.PeerAddr = fmt.Sprintf("10.0.0.%d:4611", i)
	cfg.Rand = rand.New(rand.NewPCG(uint64(i), 1))
	return cfg
}

func testAddress(i int) string { return fmt.Sprintf("10.0.0.%d:4612", i) }

func quiet(t testing.TB) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))
}

// start opens and runs cfg at addr.
func (n *testNet) start(t *testing.T, cfg Config, addr string, log *zap.Logger) *testNode {
	t.Helper()
	h := n.host(addr)
	cfg.Transport = h
	g, err := Open(cfg, log)
	if err != nil {
		t.Fatalf("open %s: %v", cfg.Name, err)
	}
	return run(t, g, h)
}

// run runs g until the test ends, and then lets memberlist's stragglers end while the
// bubble's time still goes on.
func run(t *testing.T, g *Gossip, h *testHost) *testNode {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	node := &testNode{Gossip: g, host: h, stop: sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := g.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})}
	t.Cleanup(func() {
		node.stop()
		time.Sleep(time.Minute)
	})
	return node
}

// cluster starts n nodes that are registered with each other.
func (n *testNet) cluster(t *testing.T, count int) []*testNode {
	t.Helper()
	var nodes []*testNode
	for i := 1; i <= count; i++ {
		nodes = append(nodes, n.start(t, testConfig(i), testAddress(i), quiet(t)))
		time.Sleep(13 * time.Millisecond) // so that tickers do not coincide
	}
	for _, node := range nodes {
		node.SetMembers(registered(count))
	}
	return nodes
}

func registered(count int) []Peer {
	var peers []Peer
	for i := 1; i <= count; i++ {
		peers = append(peers, Peer{
			ID: kv.NodeID(i), Name: fmt.Sprintf("n%d", i), GossipAddr: testAddress(i),
		})
	}
	return peers
}

// await sleeps until ok, at most for limit, and reports how long it took.
func await(t *testing.T, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > limit {
			t.Fatalf("%s: not within %v", what, limit)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(start)
}

// allSee reports whether every node believes that exactly want run, of ids 1 to count.
func allSee(nodes []*testNode, count int, want func(seer, seen kv.NodeID) bool) bool {
	for _, node := range nodes {
		for id := kv.NodeID(1); id <= kv.NodeID(count); id++ {
			if node.Alive(id) != want(node.cfg.NodeID, id) {
				return false
			}
		}
	}
	return true
}

func everybody(_, _ kv.NodeID) bool { return true }
