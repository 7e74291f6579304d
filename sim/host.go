// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
)

var (
	// ErrRunning refuses what needs a host whose process has ended.
	ErrRunning = errors.New("sim: a process of this host runs")
	// ErrDown refuses what needs a host with a process.
	ErrDown = errors.New("sim: no process of this host runs")
)

// Host is one machine with one member of the cluster: an address, a disk and a clock,
// which outlive its processes, of which there is one at a time. Its methods are called
// from one goroutine; those of Disk and Clock from any.
type Host struct {
	// Immutable.
	ring.Member
	Addr  string // without a port
	Disk  *Disk
	Clock *Clock

	cluster *Cluster
	reach   reach

	// rejoin: an operator says to each process that is started that the store is lost.
	rejoin    bool
	process   *process // nil where none was started since the last end
	processes int      // that were started
}

// Start starts a process. Where the last one has ended by itself, it has been seen to.
func (h *Host) Start(ctx context.Context) error {
	if h.Up() {
		return fmt.Errorf("%w: %s", ErrRunning, h.Name)
	}
	h.Ended() // what it left of its disk's handles
	h.processes++
	p, err := newProcess(ctx, h, h.processes, h.cluster.cfg.Log.Named(h.Name))
	if err != nil {
		h.Disk.Kill()
		return fmt.Errorf("sim: start %s: %w", h.Name, err)
	}
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	h.cluster.running.Go(func() { p.run(ctx) })
	h.process = p
	return nil
}

// Up reports whether a process runs, paused or not.
func (h *Host) Up() bool { return h.process != nil && !h.process.ended() }

// Ended returns why the process ended by itself, and true, once after each such end.
// Nothing is left of it then: the host can start another.
func (h *Host) Ended() (error, bool) {
	p := h.process
	if p == nil || !p.ended() {
		return nil, false
	}
	h.process = nil
	h.bury(p)
	h.Disk.Kill()
	return p.err, true
}

// Stop ends the process in order and returns what its Run did. A paused one goes on.
func (h *Host) Stop() error {
	p := h.process
	if p == nil {
		return fmt.Errorf("%w: %s", ErrDown, h.Name)
	}
	h.process = nil
	p.gate.open()
	p.stop()
	<-p.over
	h.bury(p)
	h.Disk.Kill()
	return p.err
}

// Terminate tells the process to end in order, as SIGTERM does, and does not wait: Ended
// tells when it has. A paused one goes on.
func (h *Host) Terminate() error {
	if !h.Up() {
		return fmt.Errorf("%w: %s", ErrDown, h.Name)
	}
	h.process.gate.open()
	h.process.stop()
	return nil
}

// Kill ends the process as kill -9 does: connections are reset, what the operating system
// has of its writes stays. One that ended by itself is not there to be killed: see Ended.
func (h *Host) Kill() error {
	if !h.Up() {
		return fmt.Errorf("%w: %s", ErrDown, h.Name)
	}
	h.Disk.Kill()
	h.drop()
	return nil
}

// LosePower ends the machine, whether or not a process runs: the disk keeps what was
// synced, and of a commit under way all or nothing. The next process finds a new boot.
func (h *Host) LosePower() {
	h.Disk.LosePower(power(h))
	h.drop()
}

// drop cuts a dead process off from the network; its goroutines end on their own time.
func (h *Host) drop() {
	p := h.process
	if p == nil {
		return
	}
	h.process = nil
	h.bury(p)
	p.stop()
}

// bury sees to it that a process reaches nobody any more. The disk has been fenced.
func (h *Host) bury(p *process) {
	p.dead.Store(true)
	h.cluster.Net.Kill(h.Addr)
	p.gate.open()
}

// Pause stops the process as SIGSTOP does, seen from outside: nothing that comes in is
// noticed, nothing goes out, no commit ends. Its own timers go on, so after Resume it may
// have given up what a process of a real machine would just then give up.
func (h *Host) Pause() error {
	if !h.Up() {
		return fmt.Errorf("%w: %s", ErrDown, h.Name)
	}
	h.process.gate.close()
	return nil
}

// Resume lets a paused process go on.
func (h *Host) Resume() error {
	if !h.Up() {
		return fmt.Errorf("%w: %s", ErrDown, h.Name)
	}
	h.process.gate.open()
	return nil
}

// SetGroup is how what stands in for the metadata group meets this host from now on.
func (h *Host) SetGroup(m Mood) { h.reach.become(m) }

// SetRejoin says to the processes that are started from now on, or no more, that the store
// is lost where the group refuses it: `dyno serve --rejoin`.
func (h *Host) SetRejoin(on bool) { h.rejoin = on }

// Status is that of the process's replica.
func (h *Host) Status() (replica.Status, bool) {
	if !h.Up() {
		return replica.Status{}, false
	}
	return h.process.node.Status(), true
}

// Audit is what the process's node holds.
func (h *Host) Audit(ctx context.Context) (node.Audit, error) {
	if !h.Up() {
		return node.Audit{}, fmt.Errorf("%w: %s", ErrDown, h.Name)
	}
	return h.process.node.Audit(ctx)
}

func newHost(c *Cluster, m ring.Member, addr string) (*Host, error) {
	disk, err := c.cfg.disk(m.Name)
	if err != nil {
		return nil, err
	}
	h := &Host{Member: m, Addr: addr, Disk: disk, Clock: NewClock(0, 0), cluster: c}
	h.reach.group = c.group
	return h, nil
}

// stragglers is how long memberlist's timers may outlive its shutdown.
const stragglers = time.Minute

func (h *Host) close(log *zap.Logger) {
	switch err, ended := h.Ended(); {
	case ended:
		log.Warn("a process had ended by itself", zap.String("host", h.Name), zap.Error(err))
	case h.process != nil:
		if err := h.Stop(); err != nil {
			log.Warn("a process did not end in order", zap.String("host", h.Name), zap.Error(err))
		}
	}
}
