// SPDX-License-Identifier: Apache-2.0

package real

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dyno-kv/dyno/client"
)

const (
	// settleTime is how long a cluster may take to form, to name a leader, or to be ready
	// again after a fault.
	settleTime = time.Minute
	// look is how often somebody looks whether it has, soon how long a node has to say.
	look = 50 * time.Millisecond
	soon = 500 * time.Millisecond
	// portsEach is how many ports a node takes, from its client's on.
	portsEach = 4
)

// Cluster is a cluster of processes. Several goroutines may use it, each other nodes; but for
// Move, which one alone may ask for.
type Cluster struct {
	site   Site
	nodes  []*nodeProcess
	admin  *client.Client
	formed bool // from then on no node founds a cluster
	port   int  // the next that may be free

	mu        sync.Mutex // guards what follows; nothing waits under it
	addresses []string   // of the nodes, for clients
	binaries  []string   // what is started next, for each node
}

const (
	// firstPort and lastPort are below those that the kernel gives out.
	firstPort, lastPort = 21_000, 31_000
)

// freePorts finds the first of n ports in a row that nobody listens at, and that this cluster
// has not had.
func (c *Cluster) freePorts(n int) (int, error) {
	if c.port == 0 { // other processes begin elsewhere
		c.port = firstPort + os.Getpid()*97%(lastPort-firstPort)
	}
	for range (lastPort - firstPort) / n {
		if c.port+n > lastPort {
			c.port = firstPort
		}
		base := c.port
		c.port += n
		if free(base, n) {
			return base, nil
		}
	}
	return 0, fmt.Errorf("real: no %d ports in a row are free from %d to %d", n, firstPort, lastPort)
}

func free(base, n int) bool {
	for port := base; port < base+n; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		if err := l.Close(); err != nil {
			return false
		}
	}
	return true
}

// Client returns a client of all nodes, as they are to be found now. It asks from where the
// rig itself asks.
func (c *Cluster) Client() (*client.Client, error) { return c.ClientFrom(c.site.Dial) }

// ClientFrom is Client with another way to the nodes.
func (c *Cluster) ClientFrom(dial client.Dialer) (*client.Client, error) {
	cfg := client.DefaultConfig()
	cfg.Name = "dyno-jepsen"
	cfg.Endpoints, cfg.Dial = c.Addresses(), dial
	return client.New(cfg)
}

// Addresses are where clients find the nodes now.
func (c *Cluster) Addresses() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.addresses...)
}

// Nodes is how many nodes there are; Name is that of one of them, and Log where it logs.
func (c *Cluster) Nodes() int { return len(c.nodes) }

// Name is the name of node i.
func (c *Cluster) Name(i int) string { return c.nodes[i].name }

// Log is the file to which node i writes what it has to say.
func (c *Cluster) Log(i int) string { return c.nodes[i].log }

// PID is the process of node i, which must run.
func (c *Cluster) PID(i int) int { return c.nodes[i].pid() }

// Ended is an error where the process of node i, which was started, has ended by itself.
func (c *Cluster) Ended(i int) error { return c.nodes[i].died() }

// Collect forgets the process of node i if it has ended by itself, so that another one can be
// started, and tells how it did.
func (c *Cluster) Collect(i int) (exit error, ended bool) { return c.nodes[i].collect() }

// Restart starts node i, which does not run, at its address. It does not wait.
func (c *Cluster) Restart(i int) error { return c.start(i) }

// Rejoin is Restart with an operator's word that the store of node i is lost.
func (c *Cluster) Rejoin(i int) error { return c.start(i, "--rejoin") }

// Move starts node i, which does not run, at an address where it has not been.
func (c *Cluster) Move(i int) error {
	base, err := c.freePorts(portsEach)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.addresses[i] = fmt.Sprintf("127.0.0.1:%d", base)
	c.mu.Unlock()
	return c.Restart(i)
}

// Kill ends node i at once, as kill -9 does.
func (c *Cluster) Kill(i int) error { return c.nodes[i].end(syscall.SIGKILL, killTime) }

// Stop tells node i to stop, and waits until it has.
func (c *Cluster) Stop(i int) error { return c.nodes[i].end(syscall.SIGTERM, stopTime) }

// Pause stops node i where it is; Resume lets it go on.
func (c *Cluster) Pause(i int) error { return c.nodes[i].signal(syscall.SIGSTOP) }

// Resume lets node i go on.
func (c *Cluster) Resume(i int) error { return c.nodes[i].signal(syscall.SIGCONT) }

// Leader is the node that leads the metadata group, as it says itself; -1 where none says so.
func (c *Cluster) Leader(ctx context.Context) int {
	leader, term := -1, uint64(0)
	for i := range c.nodes {
		s, err := c.status(ctx, i)
		if err == nil && s.Leader == c.nodes[i].name && s.Term > term {
			leader, term = i, s.Term
		}
	}
	return leader
}

// Owners are the nodes that say that they hold a copy of a partition.
func (c *Cluster) Owners(ctx context.Context, partition uint16) []int {
	var owners []int
	for i := range c.nodes {
		held, err := c.admin.RingPartitions(ctx, client.WithEndpoint(c.Addresses()[i]),
			client.WithTimeout(soon))
		if err == nil && slices.ContainsFunc(held.Partitions, func(p client.PartitionContents) bool {
			return p.Partition == partition
		}) {
			owners = append(owners, i)
		}
	}
	return owners
}

func (c *Cluster) status(ctx context.Context, i int) (client.MetaStatus, error) {
	if !c.nodes[i].runs() {
		return client.MetaStatus{}, fmt.Errorf("real: %s does not run", c.nodes[i].name)
	}
	return c.admin.MetaStatus(ctx, client.WithEndpoint(c.Addresses()[i]), client.WithTimeout(soon))
}

// reason is why node i is not ready, as it says itself; "" where it is.
func (c *Cluster) reason(ctx context.Context, i int) string {
	s, err := c.admin.ClusterStatus(ctx,
		client.WithEndpoint(c.Addresses()[i]), client.WithTimeout(soon))
	if err != nil {
		return err.Error()
	}
	for _, m := range s.Members {
		switch {
		case m.Name != c.nodes[i].name:
		case m.Ready && m.Confirmed:
			return ""
		default:
			return m.Reason
		}
	}
	return "it is no member"
}

// Ready waits until the nodes are ready.
func (c *Cluster) Ready(ctx context.Context, nodes ...int) error {
	return c.await(ctx, func(ctx context.Context) string {
		var waits []string
		for _, i := range nodes {
			if why := c.reason(ctx, i); why != "" {
				waits = append(waits, c.nodes[i].name+": "+why)
			}
		}
		return strings.Join(waits, "; ")
	})
}

// AreReady asks nodes once whether they are.
func (c *Cluster) AreReady(ctx context.Context, nodes ...int) bool {
	for _, i := range nodes {
		if c.reason(ctx, i) != "" {
			return false
		}
	}
	return true
}

// settle waits until there are a leader and as many voters as there will be.
func (c *Cluster) settle(ctx context.Context) error {
	want := 1
	if len(c.nodes) >= 3 {
		want = 3
	}
	if err := c.Ready(ctx, c.all()...); err != nil {
		return err
	}
	return c.await(ctx, func(ctx context.Context) string {
		voters := 0
		for i := range c.nodes {
			if s, err := c.status(ctx, i); err == nil && s.Role == client.SeatVoter {
				voters++
			}
		}
		switch {
		case voters < want:
			return fmt.Sprintf("%d voters of %d", voters, want)
		case c.Leader(ctx) < 0:
			return "no leader"
		}
		return ""
	})
}

// await asks again and again until there is no reason to wait any more.
func (c *Cluster) await(ctx context.Context, why func(context.Context) string) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for last := ""; ; {
		now := why(ctx)
		if now == "" {
			return nil
		}
		if ctx.Err() == nil {
			last = now
		}
		if !rest(ctx, look) {
			return fmt.Errorf("real: %w: %s", ctx.Err(), last)
		}
	}
}

// Close ends all nodes.
func (c *Cluster) Close() error {
	var errs []error
	for i := range c.nodes {
		errs = append(errs, c.Kill(i))
	}
	c.admin.Close()
	return errors.Join(errs...)
}
