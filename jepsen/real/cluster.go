// SPDX-License-Identifier: Apache-2.0

package real

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dyno-kv/dyno/client"
)

const (
	// settleTime is how long a cluster may take to form, and to name a leader.
	settleTime = time.Minute
	// look is how often somebody looks whether it has.
	look = 50 * time.Millisecond
	// portsEach is how many ports a node takes, from its client's on.
	portsEach = 3
)

// Cluster is a cluster of processes. It is for one goroutine, but for Client.
type Cluster struct {
	binary string
	nodes  []*process
	admin  *client.Client
}

// process is one node.
type process struct {
	name, address, log string
	args               []string
	cmd                *exec.Cmd // nil: it does not run
}

// Start starts a new cluster of so many nodes below dir, which must be empty, and waits until
// there is a leader and up to three voters. binary is the dyno program.
func Start(ctx context.Context, binary, dir string, nodes int) (*Cluster, error) {
	base, err := freePorts(nodes * portsEach)
	if err != nil {
		return nil, err
	}
	c := &Cluster{binary: binary}
	for i := range nodes {
		p := &process{
			name: fmt.Sprintf("n%d", i+1), address: fmt.Sprintf("127.0.0.1:%d", base+i*portsEach),
		}
		p.log = filepath.Join(dir, p.name+".log")
		p.args = []string{
			"serve", "--name", p.name, "--data-dir", filepath.Join(dir, p.name),
			"--listen", p.address, "--expect", fmt.Sprint(nodes), "--log-format", "json",
		}
		if i > 0 {
			p.args = append(p.args, "--join", c.nodes[0].address)
		}
		c.nodes = append(c.nodes, p)
	}
	if c.admin, err = c.Client(); err != nil {
		return nil, err
	}
	for i := range c.nodes {
		if err := c.run(i); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if err := c.settle(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// freePorts finds the first of n ports in a row that nobody listens at.
func freePorts(n int) (int, error) {
	const first, last = 21_000, 31_000 // below those that the kernel gives out
	for base := first + os.Getpid()%1000; base < last; base += n {
		if free(base, n) {
			return base, nil
		}
	}
	return 0, errors.New("real: no ports are free")
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

// Client returns a client of all nodes.
func (c *Cluster) Client() (*client.Client, error) {
	cfg := client.DefaultConfig()
	cfg.Name = "dyno-jepsen"
	for _, p := range c.nodes {
		cfg.Endpoints = append(cfg.Endpoints, p.address)
	}
	return client.New(cfg)
}

// Nodes is how many nodes there are; Name is that of one of them.
func (c *Cluster) Nodes() int { return len(c.nodes) }

// Name is the name of node i.
func (c *Cluster) Name(i int) string { return c.nodes[i].name }

// run starts node i; what it says is added to its log.
func (c *Cluster) run(i int) error {
	p := c.nodes[i]
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("real: %w", err)
	}
	defer log.Close() // the process has its own
	cmd := exec.Command(c.binary, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("real: start %s: %w", p.name, err)
	}
	p.cmd = cmd
	return nil
}

// Restart starts node i again, which was killed.
func (c *Cluster) Restart(i int) error { return c.run(i) }

// Kill ends node i at once, as kill -9 does.
func (c *Cluster) Kill(i int) error {
	p := c.nodes[i]
	if p.cmd == nil {
		return nil
	}
	_ = p.cmd.Process.Kill() // how it ended tells whether it was there
	err := p.cmd.Wait()
	p.cmd = nil
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) && exit.Exited() {
		return fmt.Errorf("real: %s had ended by itself (%v), see %s", p.name, err, p.log)
	}
	return nil
}

// Pause stops node i where it is, Resume lets it go on.
func (c *Cluster) Pause(i int) error { return c.signal(i, syscall.SIGSTOP) }

// Resume lets node i go on.
func (c *Cluster) Resume(i int) error { return c.signal(i, syscall.SIGCONT) }

func (c *Cluster) signal(i int, s syscall.Signal) error {
	if err := c.nodes[i].cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("real: %s: %w, see %s", c.nodes[i].name, err, c.nodes[i].log)
	}
	return nil
}

// Leader is the node that leads the metadata group, as those that answer know it; -1 where
// none says.
func (c *Cluster) Leader(ctx context.Context) int {
	for i := range c.nodes {
		s, err := c.status(ctx, i)
		if err == nil && s.Leader == c.nodes[i].name {
			return i
		}
	}
	return -1
}

func (c *Cluster) status(ctx context.Context, i int) (client.MetaStatus, error) {
	const soon = 500 * time.Millisecond
	return c.admin.MetaStatus(ctx, client.WithEndpoint(c.nodes[i].address),
		client.WithTimeout(soon))
}

// settle waits until there are a leader and as many voters as there will be.
func (c *Cluster) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	want := 1
	if len(c.nodes) >= 3 {
		want = 3
	}
	for {
		voters := 0
		for i := range c.nodes {
			if s, err := c.status(ctx, i); err == nil && s.Role == client.SeatVoter {
				voters++
			}
		}
		if voters == want && c.Leader(ctx) >= 0 {
			return nil
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return fmt.Errorf("real: %d voters after %v, see %s", voters, settleTime, c.nodes[0].log)
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
