// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/jepsen/network/link"
)

// maxPacket is the largest that a device gives or takes.
const maxPacket = 1 << 16

// fabric moves packets between ports: whole packets of IPv4 are read from each, and written
// to the one that has the address.
type fabric struct {
	began time.Time
	ports []io.ReadWriteCloser // one for each host
	hosts map[[4]byte]int      // by address
	links []guarded            // from*len(ports)+to
	later *scheduler
	wg    sync.WaitGroup // the readers

	once   sync.Once
	closed error
}

type guarded struct {
	mu   sync.Mutex // guards link
	link *link.Link
}

// newFabric connects ports, which it closes in the end.
func newFabric(seed uint64, ports []io.ReadWriteCloser, addrs []netip.Addr) *fabric {
	n := len(ports)
	f := &fabric{
		began: time.Now(), ports: ports, hosts: make(map[[4]byte]int, n),
		links: make([]guarded, n*n),
	}
	f.later = newScheduler(f.now)
	for i, a := range addrs {
		f.hosts[a.As4()] = i
	}
	for i := range f.links {
		f.links[i].link = link.New(rand.New(rand.NewPCG(seed, uint64(i))))
	}
	for i := range ports {
		f.wg.Add(1)
		go func() {
			defer f.wg.Done()
			f.read(i)
		}()
	}
	return f
}

func (f *fabric) now() time.Duration { return time.Since(f.began) }

func (f *fabric) between(from, to int) *guarded { return &f.links[from*len(f.ports)+to] }

// read passes on what a host sends, until its port is closed.
func (f *fabric) read(from int) {
	buf := make([]byte, maxPacket)
	var out []link.Departure
	for {
		n, err := f.ports[from].Read(buf)
		if err != nil {
			return // closed; no other error is seen of a device that is up
		}
		h, ok := link.Parse(buf[:n])
		if source, known := f.hosts[h.Source]; !ok || !known || source != from {
			continue // of the kernel's own, such as what looks for routers of IPv6
		}
		to, ok := f.hosts[h.Destination]
		if !ok || to == from {
			continue
		}
		g := f.between(from, to)
		now := f.now()
		g.mu.Lock()
		out = g.link.Offer(now, buf[:n], out[:0])
		g.mu.Unlock()
		f.send(now, from, to, out)
	}
}

// send writes what leaves now, and hands the rest to who waits.
func (f *fabric) send(now time.Duration, from, to int, out []link.Departure) {
	for _, d := range out {
		port := f.ports[to]
		if d.Back {
			port = f.ports[from]
		}
		if d.At <= now {
			// An error is that of a host whose device is full or gone: a lost packet.
			_, _ = port.Write(d.Packet)
			continue
		}
		f.later.at(d.At, func() {
			_, _ = port.Write(d.Packet)
			g := f.between(from, to)
			g.mu.Lock()
			g.link.Left(d.Waits)
			g.mu.Unlock()
		})
	}
}

func (f *fabric) set(from, to int, r Rule) error {
	if err := checkPair(len(f.ports), from, to); err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	g := f.between(from, to)
	now := f.now()
	g.mu.Lock()
	out := g.link.Set(now, r, nil)
	g.mu.Unlock()
	f.send(now, from, to, out)
	return nil
}

func (f *fabric) rule(from, to int) Rule {
	if checkPair(len(f.ports), from, to) != nil {
		return Rule{}
	}
	g := f.between(from, to)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.link.Rule()
}

func (f *fabric) counts(from, to int) Counts {
	if checkPair(len(f.ports), from, to) != nil {
		return Counts{}
	}
	g := f.between(from, to)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.link.Counts()
}

func (f *fabric) heal() {
	for from := range f.ports {
		for to := range f.ports {
			if from != to {
				_ = f.set(from, to, Rule{}) // a link that is there, a rule that is valid
			}
		}
	}
}

// close ends the ports and waits for the goroutines.
func (f *fabric) close() error {
	f.once.Do(func() {
		var errs []error
		f.later.close()
		for _, p := range f.ports {
			errs = append(errs, p.Close())
		}
		f.wg.Wait()
		f.closed = errors.Join(errs...)
	})
	return f.closed
}
