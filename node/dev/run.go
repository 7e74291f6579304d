// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/server"
	"github.com/dyno-kv/dyno/storage"
)

const lockName = "LOCK"

// errEnding refuses to start a node of a cluster that ends.
var errEnding = errors.New("dev: the cluster is ending")

// refusal is an error that whoever asked can mend: server.ErrRefused.
type refusal string

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

func (r refusal) Error() string        { return string(r) }
func (r refusal) Is(target error) bool { return target == server.ErrRefused }

// Cluster is a cluster in one process.
type Cluster struct {
	// Immutable after Open.
	cfg   Config
	log   *zap.Logger
	lock  *os.File
	group *group

	// ended receives the end of each node that nobody asked to stop. One for each node
	// that can ever run at a time.
	ended chan error

	mu      sync.Mutex // guards what follows; never held over a wait
	running map[string]*running
	base    context.Context // of Run; nil before and after
	waiting sync.WaitGroup  // nodes' goroutines and late stops
}

// running is one node that runs.
type running struct {
	node *node.Node
	stop context.CancelFunc
	done chan struct{} // closed when Run returned
	// asked says that the node was told to stop.
	asked bool
}

// Open loads or forms the cluster and opens every node. Nothing runs before Run. After
// an error nothing is left open.
func Open(ctx context.Context, cfg Config, log *zap.Logger) (*Cluster, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("dev: make directory: %w", err)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, log: log, lock: lock, running: make(map[string]*running)}
	if err := c.open(ctx); err != nil {
		return nil, errors.Join(err, c.closeAll())
	}
	return c, nil
}

func (c *Cluster) open(ctx context.Context) error {
	f, err := openFile(c.cfg)
	if err != nil {
		return err
	}
	state, err := f.state()
	if err != nil {
		return err
	}
	current, err := ring.New(state)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	c.group = newGroup(c.cfg.Dir, f, current)
	c.ended = make(chan error, len(current.Members()))
	for _, m := range current.Members() {
		n, err := node.Open(ctx, c.nodeConfig(m.Name), c.log.Named(m.Name))
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		c.running[m.Name] = &running{node: n}
	}
	return nil
}

// Members are the cluster's, with their addresses.
func (c *Cluster) Members() []ring.Member { return c.group.ring.Members() }

// Run runs every node until ctx ends, and returns nil; or until one fails, and returns
// why (I4). Then all have been stopped and closed.
func (c *Cluster) Run(ctx context.Context) error {
	c.mu.Lock()
	c.base = context.WithoutCancel(ctx)
	for name, r := range c.running {
		c.launch(name, r)
	}
	c.mu.Unlock()
	var err error
	select {
	case <-ctx.Done():
	case err = <-c.ended:
	}
	c.mu.Lock()
	c.base = nil
	for _, r := range c.running {
		r.asked = true
		r.stop()
	}
	c.mu.Unlock()
	c.waiting.Wait()
	return errors.Join(err, c.lock.Close())
}

// Close gives back what Open took, for a cluster that is not run.
func (c *Cluster) Close() error { return c.closeAll() }

func (c *Cluster) closeAll() error {
	var faults []error
	for _, r := range c.running {
		faults = append(faults, r.node.Close())
	}
	return errors.Join(append(faults, c.lock.Close())...)
}

// launch runs an opened node. mu is held.
func (c *Cluster) launch(name string, r *running) {
	var ctx context.Context
	ctx, r.stop = context.WithCancel(c.base)
	r.done = make(chan struct{})
	c.waiting.Go(func() {
		err := r.node.Run(ctx)
		c.mu.Lock()
		delete(c.running, name)
		asked := r.asked
		c.mu.Unlock()
		if err == nil && !asked {
			err = errors.New("dev: it ended by itself")
		}
		if err != nil {
			c.ended <- fmt.Errorf("%s: %w", name, err)
		}
		close(r.done)
	})
}

// StopNode stops a node in order, as SIGTERM would, and waits for its end.
func (c *Cluster) StopNode(ctx context.Context, name string) error {
	r, err := c.beginStop(name)
	if err != nil {
		return err
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("dev: %s is still stopping: %w", name, context.Cause(ctx))
	}
}

// beginStop tells a node to stop.
func (c *Cluster) beginStop(name string) (*running, error) {
	if _, known := c.group.ring.MemberByName(name); !known {
		return nil, c.unknown(name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r, runs := c.running[name]
	switch {
	case !runs || r.asked:
		return nil, refuse("dev: %s does not run", name)
	case len(c.running) == 1:
		return nil, refuse("dev: %s is the only node that runs, and through it others are "+
			"started; end the cluster instead", name)
	}
	r.asked = true
	r.stop()
	return r, nil
}

// StartNode starts a node that was stopped.
func (c *Cluster) StartNode(ctx context.Context, name string) error {
	if _, known := c.group.ring.MemberByName(name); !known {
		return c.unknown(name)
	}
	c.mu.Lock()
	base, before := c.base, c.running[name]
	if base != nil && before == nil {
		c.running[name] = &running{asked: true, stop: func() {}} // its place, until it is open
	}
	c.mu.Unlock()
	switch {
	case base == nil:
		return errEnding
	case before != nil:
		return refuse("dev: %s runs already, or is still stopping", name)
	}
	n, err := node.Open(ctx, c.nodeConfig(name), c.log.Named(name))
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, name)
	if err != nil {
		return fmt.Errorf("dev: start %s: %w", name, err)
	}
	if c.base == nil {
		return errors.Join(errEnding, n.Close())
	}
	r := &running{node: n}
	c.running[name] = r
	c.launch(name, r)
	return nil
}

// Stopped reports whether a node was stopped, or has not been started again yet.
func (c *Cluster) Stopped(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, runs := c.running[name]
	return !runs || r.asked
}

func (c *Cluster) unknown(name string) error {
	var all []string
	for _, m := range c.Members() {
		all = append(all, m.Name)
	}
	return refuse("dev: no node %q; there are %s", name, strings.Join(all, ", "))
}

// NotReady is a node whose store is refused.
type NotReady struct{ Name, Reason string }

// Ready waits until every node serves, or has been refused and will not: those are
// returned. The others know each other by then.
func (c *Cluster) Ready(ctx context.Context) ([]NotReady, error) {
	const look = 10 * time.Millisecond
	every := time.NewTicker(look)
	defer every.Stop()
	for {
		if refused, all := c.ready(); all {
			return refused, nil
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("dev: the cluster is not ready: %w", context.Cause(ctx))
		}
	}
}

func (c *Cluster) ready() (refused []NotReady, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, r := range c.running {
		if r.node == nil || r.done == nil {
			return nil, false
		}
		switch status := r.node.Status(); {
		case status.Refused:
			refused = append(refused, NotReady{Name: name, Reason: status.Reason})
		case !status.Ready || !status.Confirmed || !r.node.Connected():
			return nil, false
		}
	}
	slices.SortFunc(refused, func(a, b NotReady) int { return strings.Compare(a.Name, b.Name) })
	return refused, true
}

// lockDir keeps a second process out of the directory.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("dev: open lock: %w", err)
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = storage.ErrLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dev: lock %s: %w", dir, err), lock.Close())
	}
	return lock, nil
}

// control is the cluster as one of its nodes offers it to clients.
type control struct {
	cluster *Cluster
	self    string
}

var _ server.Control = (*control)(nil)

// StopNode implements server.Control. A node that is asked to stop itself answers first:
// its drain waits for the very request that asks.
func (c *control) StopNode(ctx context.Context, name string) error {
	if name != c.self {
		return c.cluster.StopNode(ctx, name)
	}
	_, err := c.cluster.beginStop(name)
	return err
}

// StartNode implements server.Control.
func (c *control) StartNode(ctx context.Context, name string) error {
	return c.cluster.StartNode(ctx, name)
}

// Stopped implements server.Control.
func (c *control) Stopped(name string) bool { return c.cluster.Stopped(name) }
