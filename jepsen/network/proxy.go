// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/jepsen/network/link"
)

// proxies is a network of loopback addresses. What is sent to a host arrives here first, and
// goes on to where its process listens.
type proxies struct {
	cfg      Config
	began    time.Time
	links    []*wire // from*hosts+to
	stranger *wire   // of whoever is no host: always healthy
	later    *scheduler

	life   context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // listeners, and what they accepted
	once   sync.Once
	closed error

	listeners []net.Listener
	sockets   map[netip.AddrPort]*net.UDPConn // at the addresses of nodes

	mu   sync.Mutex // guards pids; nothing waits under it
	pids map[int]int
}

// maxStarted bounds the processes that are remembered: those of many restarts.
const maxStarted = 10_000

func newProxies(_ context.Context, cfg Config) (Network, error) {
	if len(cfg.Ports) == 0 {
		return nil, errors.New("needs Config.Ports: those at which nodes listen")
	}
	n := &proxies{
		cfg: cfg, began: time.Now(), stranger: newWire(rand.New(rand.NewPCG(0, 0))),
		sockets: map[netip.AddrPort]*net.UDPConn{}, pids: map[int]int{},
	}
	hosts := cfg.Hosts + cfg.Clients
	for i := range hosts * hosts {
		n.links = append(n.links, newWire(rand.New(rand.NewPCG(cfg.Seed, uint64(i)))))
	}
	n.later = newScheduler(n.now)
	n.life, n.cancel = context.WithCancel(context.Background())
	for host := range cfg.Hosts {
		for _, port := range cfg.Ports {
			if err := n.open(host, port); err != nil {
				return nil, errors.Join(err, n.Close())
			}
		}
	}
	for at, socket := range n.sockets { // when all are there: they use each other
		n.wg.Go(func() { n.receive(at, socket) })
	}
	return n, nil
}

// open listens at a port of a node.
func (n *proxies) open(host int, port uint16) error {
	at := netip.AddrPortFrom(n.Addr(host), port)
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return fmt.Errorf("stand before host %d: %w", host, err)
	}
	n.listeners = append(n.listeners, l)
	n.wg.Go(func() { n.accept(host, port, l) })
	if n.sockets[at], err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at)); err != nil {
		delete(n.sockets, at)
		return fmt.Errorf("stand before host %d: %w", host, err)
	}
	return nil
}

func (n *proxies) now() time.Duration { return time.Since(n.began) }

// loopback is an address of this machine, of one kind and number.
func loopback(kind, number int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 79, byte(kind), byte(number + 1)})
}

const (
	kindAddr = iota
	kindListen
	kindClient
)

func (n *proxies) Mode() Mode { return ModeProxy }

// Lacks: connections are made of bytes that arrive, in order, or do not; of the faults of
// packets only datagrams meet some.
func (n *proxies) Lacks() []string { return []string{"loss", "disorder", "duplicate", "corrupt"} }

func (n *proxies) Addr(host int) netip.Addr {
	if host >= n.cfg.Hosts {
		return loopback(kindClient, host-n.cfg.Hosts)
	}
	return loopback(kindAddr, host)
}

func (n *proxies) Listen(host int) netip.Addr {
	if host >= n.cfg.Hosts {
		return n.Addr(host)
	}
	return loopback(kindListen, host)
}

func (n *proxies) Client(k int) int { return n.cfg.Hosts + k }

// Start starts the command, and remembers whose it is: what its process connects to is
// asked by that.
func (n *proxies) Start(host int, cmd *exec.Cmd) error {
	if host < 0 || host >= n.cfg.Hosts+n.cfg.Clients {
		return fmt.Errorf("network: there is no host %d", host)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.pids) >= maxStarted {
		return fmt.Errorf("network: %d processes were started, which is too many", len(n.pids))
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	n.pids[cmd.Process.Pid] = host
	return nil
}

func (n *proxies) Dial(ctx context.Context, k int, addr string) (net.Conn, error) {
	if k < 0 || k >= n.cfg.Clients {
		return nil, fmt.Errorf("network: there is no client %d", k)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: loopback(kindClient, k).AsSlice()}}
	return d.DialContext(ctx, "tcp4", addr)
}

// between is the link of two hosts; a host of -1 is nobody that is known.
func (n *proxies) between(from, to int) *wire {
	hosts := n.cfg.Hosts + n.cfg.Clients
	if checkPair(hosts, from, to) != nil {
		return n.stranger
	}
	return n.links[from*hosts+to]
}

func (n *proxies) Set(from, to int, r Rule) error {
	if err := checkPair(n.cfg.Hosts+n.cfg.Clients, from, to); err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	n.forward(from, to, n.between(from, to).set(n.now(), r))
	return nil
}

func (n *proxies) Rule(from, to int) Rule     { return n.between(from, to).get() }
func (n *proxies) Counts(from, to int) Counts { return n.between(from, to).count() }

func (n *proxies) Heal() {
	for from := range n.cfg.Hosts + n.cfg.Clients {
		for to := range n.cfg.Hosts + n.cfg.Clients {
			if from != to {
				_ = n.Set(from, to, Rule{}) // a link that is there, a rule that is valid
			}
		}
	}
}

// Close ends all connections.
func (n *proxies) Close() error {
	n.once.Do(func() { n.closed = n.end() })
	return n.closed
}

func (n *proxies) end() error {
	n.cancel()
	var errs []error
	for _, l := range n.listeners {
		errs = append(errs, l.Close())
	}
	n.later.close()
	for _, s := range n.sockets {
		errs = append(errs, s.Close())
	}
	n.wg.Wait()
	n.listeners, n.sockets = nil, nil
	return errors.Join(errs...)
}

// origin is the host that a connection comes from; -1: nobody that is known. Clients have
// addresses of their own; of nodes the system is asked which process has the other end.
func (n *proxies) origin(at netip.AddrPort) int {
	for k := range n.cfg.Clients {
		if at.Addr() == loopback(kindClient, k) {
			return n.Client(k)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	pids := make([]int, 0, len(n.pids))
	for pid := range n.pids {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	slices.Reverse(pids) // those that run are among the latest
	if pid := owner(at, pids); pid != 0 {
		return n.pids[pid]
	}
	return -1
}

// receive takes the datagrams for one port of one node.
func (n *proxies) receive(at netip.AddrPort, socket *net.UDPConn) {
	to := int(at.Addr().As4()[3]) - 1
	buf := make([]byte, maxPacket)
	for {
		size, source, err := socket.ReadFromUDPAddrPort(buf)
		if n.life.Err() != nil {
			return
		}
		if err != nil {
			continue // the answer to one that was sent to a node that is down
		}
		from := -1
		for host := range n.cfg.Hosts {
			if source.Addr().Unmap() == n.Listen(host) {
				from = host
			}
		}
		p := appendHeader(nil, source.Port(), at.Port())
		w := n.between(from, to)
		n.forward(from, to, w.offer(n.now(), append(p, buf[:size]...)))
	}
}

// forward sends datagrams on, now or later. The receiver sees them come from where others
// find the sender.
func (n *proxies) forward(from, to int, out []link.Departure) {
	for _, d := range out {
		source, port, body := splitHeader(d.Packet)
		socket := n.sockets[netip.AddrPortFrom(n.Addr(max(from, 0)), source)]
		if from < 0 || socket == nil { // of a stranger, or from another port
			socket = n.sockets[netip.AddrPortFrom(n.Addr(to), port)]
		}
		send := func() {
			if socket != nil {
				at := netip.AddrPortFrom(n.Listen(to), port)
				_, _ = socket.WriteToUDPAddrPort(body, at) // datagrams may be lost
			}
			n.between(from, to).left(d.Waits)
		}
		if d.At <= n.now() {
			send()
			continue
		}
		n.later.at(d.At, send)
	}
}
