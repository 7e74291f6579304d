// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const (
	size = 3
	// settleTime is how long a cluster may take to have a leader that all know.
	settleTime = 30 * time.Second
)

// cluster is three servers, each a process.
type cluster struct {
	nodes  [size]*node
	status *clientv3.Client // asks one server at a time
}

// node is one server.
type node struct {
	args   []string
	log    *os.File
	client string
	cmd    *exec.Cmd // nil: it does not run
}

// startCluster starts a new cluster in an empty directory below dir.
func startCluster(ctx context.Context, dir string, port int) (*cluster, error) {
	dir = filepath.Join(dir, "etcd")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	address := func(n int) string { return fmt.Sprintf("http://127.0.0.1:%d", port+n) }
	var members []string
	for i := range size {
		members = append(members, fmt.Sprintf("n%d=%s", i, address(size+i)))
	}
	c := &cluster{}
	for i := range c.nodes {
		name := fmt.Sprintf("n%d", i)
		log, err := os.Create(filepath.Join(dir, name+".log"))
		if err != nil {
			return nil, errors.Join(err, c.stop())
		}
		c.nodes[i] = &node{
			log: log, client: address(i),
			args: []string{
				"node", "-name", name, "-dir", filepath.Join(dir, name), "-peer", address(size + i),
				"-client", address(i), "-cluster", strings.Join(members, ","),
			},
		}
		if err := c.nodes[i].start(); err != nil {
			return nil, errors.Join(err, c.stop())
		}
	}
	var err error
	c.status, err = clientv3.New(clientv3.Config{
		Endpoints: c.endpoints(), DialTimeout: settleTime, Logger: zap.NewNop(),
	})
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	if err := c.settle(ctx); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

func (n *node) start() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program, n.args...)
	cmd.Stdout, cmd.Stderr = n.log, n.log
	// It does not outlive this program, however that ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	n.cmd = cmd
	return nil
}

func (n *node) pid() int { return n.cmd.Process.Pid }

// kill ends the server at once.
func (n *node) kill() error {
	if n.cmd == nil {
		return nil
	}
	err := n.cmd.Process.Kill()
	_ = n.cmd.Wait() // says that it was killed
	n.cmd = nil
	return err
}

func (c *cluster) endpoints() []string {
	var out []string
	for _, n := range c.nodes {
		out = append(out, n.client)
	}
	return out
}

func (c *cluster) pids() []int {
	var out []int
	for _, n := range c.nodes {
		out = append(out, n.pid())
	}
	return out
}

// leader is which server leads; an error where none does, or a server does not know.
func (c *cluster) leader(ctx context.Context) (int, error) {
	found := -1
	for i, n := range c.nodes {
		asked, cancel := context.WithTimeout(ctx, time.Second)
		s, err := c.status.Status(asked, n.client)
		cancel()
		if err != nil {
			return -1, err
		}
		if s.Leader == 0 {
			return -1, fmt.Errorf("server %d knows of no leader", i)
		}
		if s.Leader == s.Header.MemberId {
			found = i
		}
	}
	if found < 0 {
		return -1, errors.New("no server says that it leads")
	}
	return found, nil
}

// settle waits until there is a leader that all know.
func (c *cluster) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		_, err := c.leader(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("no leader within %v: %w", settleTime, err)
		}
	}
}

// Kill implements lockload.Cluster.
func (c *cluster) Kill(ctx context.Context) (func(context.Context) error, error) {
	i, err := c.leader(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.nodes[i].kill(); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if err := c.nodes[i].start(); err != nil {
			return err
		}
		return c.settle(ctx)
	}, nil
}

// stop ends all servers.
func (c *cluster) stop() error {
	var errs []error
	if c.status != nil {
		errs = append(errs, c.status.Close())
	}
	for _, n := range c.nodes {
		if n != nil {
			errs = append(errs, n.kill(), n.log.Close())
		}
	}
	return errors.Join(errs...)
}
