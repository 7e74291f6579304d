// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/server"
)

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
	cfg     Config
	log     *zap.Logger
	lock    *os.File
	members []Member // in order of their names

	// ended receives why nodes ended that nobody asked to stop, or that failed. Size: as
	// many as can run at a time; one that finds it full changes nothing, for the cluster
	// ends at the first.
	ended chan error
	over  chan struct{} // closed when the cluster begins to end

	filing chan struct{} // holds a token; who has it may write file

	mu      sync.Mutex // guards what follows; never held over a wait
	file    *file
	running map[string]*running
	base    context.Context // of Run; nil before and after
	waiting sync.WaitGroup  // nodes that run, and those that are being opened
}

// running is one node that runs, is about to, or has not yet ended.
type running struct {
	node *node.Node // nil while it is being opened
	stop context.CancelFunc
	done chan struct{} // closed when Run returned; nil before it
	// asked says that the node was told to stop.
	asked bool
}

// Open loads or forms the cluster and opens every node. Nothing runs before Run. After
// an error nothing is left open.
func Open(ctx context.Context, cfg Config, log *zap.Logger) (*Cluster, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := prepareDir(cfg.Dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		cfg: cfg, log: log, lock: lock, running: make(map[string]*running),
		over: make(chan struct{}), filing: make(chan struct{}, 1),
	}
	c.filing <- struct{}{}
	if err := c.open(ctx); err != nil {
		return nil, errors.Join(err, c.closeAll())
	}
	return c, nil
}

func (c *Cluster) open(ctx context.Context) error {
	var err error
	if c.file, err = openFile(c.cfg); err != nil {
		return err
	}
	if c.members, err = layout(c.cfg, c.file); err != nil {
		return err
	}
	c.ended = make(chan error, len(c.members))
	for _, m := range c.members {
		n, err := node.Open(ctx, c.nodeConfig(m.Name), c.log.Named(m.Name))
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		c.running[m.Name] = &running{node: n}
	}
	return nil
}

// Members are the cluster's, with their addresses.
func (c *Cluster) Members() []Member { return c.members }

// member finds a member by its name.
func (c *Cluster) member(name string) bool {
	return slices.ContainsFunc(c.members, func(m Member) bool { return m.Name == name })
}

// formed reports whether the file says that the cluster has been formed.
func (c *Cluster) formed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.file.Cluster != ""
}

// noteFormed writes down that the cluster has been formed, once.
func (c *Cluster) noteFormed(id string) error {
	<-c.filing
	defer func() { c.filing <- struct{}{} }()
	if c.formed() {
		return nil
	}
	c.mu.Lock()
	f := *c.file
	c.mu.Unlock()
	f.Cluster = id
	if err := f.save(c.cfg.Dir); err != nil {
		return err
	}
	c.mu.Lock()
	c.file = &f
	c.mu.Unlock()
	return nil
}

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
	c.endAll()
	c.waiting.Wait()
	for range len(c.ended) { // also of what failed to end
		err = errors.Join(err, <-c.ended)
	}
	return errors.Join(err, c.lock.Close())
}

// endAll tells every node to stop. None is started any more.
func (c *Cluster) endAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base = nil
	close(c.over)
	for _, r := range c.running {
		r.asked = true
		r.stop()
	}
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
		defer r.stop()
		err := r.node.Run(ctx)
		c.mu.Lock()
		delete(c.running, name)
		asked := r.asked
		c.mu.Unlock()
		if err == nil && !asked {
			err = errors.New("dev: it ended by itself")
		}
		if err != nil {
			select {
			case c.ended <- fmt.Errorf("%s: %w", name, err):
			default:
			}
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
	if !c.member(name) {
		return nil, c.unknown(name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r, runs := c.running[name]
	switch {
	case !runs || r.asked:
		return nil, refuse("dev: %s does not run", name)
	case c.serving() == 1:
		return nil, refuse("dev: %s is the only node that runs, and through it others are "+
			"started; end the cluster instead", name)
	}
	r.asked = true
	r.stop()
	return r, nil
}

// serving counts the nodes that nobody has told to stop. mu is held.
func (c *Cluster) serving() int {
	count := 0
	for _, r := range c.running {
		if !r.asked {
			count++
		}
	}
	return count
}

// StartNode starts a node that was stopped. Where it is still stopping, as one does that
// was asked to stop itself, that is waited for.
func (c *Cluster) StartNode(ctx context.Context, name string) error {
	if !c.member(name) {
		return c.unknown(name)
	}
	for {
		stopping, err := c.beginStart(name)
		if err != nil {
			return err
		}
		if stopping == nil {
			break
		}
		select {
		case <-stopping:
		case <-ctx.Done():
			return fmt.Errorf("dev: %s is still stopping: %w", name, context.Cause(ctx))
		}
	}
	defer c.waiting.Done()
	n, err := node.Open(ctx, c.nodeConfig(name), c.log.Named(name))
	switch {
	case err != nil:
		c.adopt(name, nil)
		return fmt.Errorf("dev: start %s: %w", name, err)
	case !c.adopt(name, &running{node: n}):
		return errors.Join(errEnding, n.Close())
	default:
		return nil
	}
}

// adopt puts a node that was opened into the place that was kept for it, and runs it,
// unless the cluster ends. Without a node the place is given up.
func (c *Cluster) adopt(name string, r *running) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, name)
	if r == nil || c.base == nil {
		return false
	}
	c.running[name] = r
	c.launch(name, r)
	return true
}

// beginStart keeps a node's place until it is open, and Run waiting until then. Where the
// node is stopping it keeps nothing, and returns what is closed at its end.
func (c *Cluster) beginStart(name string) (stopping <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base == nil {
		return nil, errEnding
	}
	if r := c.running[name]; r != nil {
		if r.asked && r.done != nil {
			return r.done, nil
		}
		return nil, refuse("dev: %s runs already, or is being started", name)
	}
	c.running[name] = &running{asked: true, stop: func() {}}
	c.waiting.Add(1)
	return nil, nil
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
