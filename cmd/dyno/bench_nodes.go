// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/dyno-kv/dyno/bench/lockload"
	"github.com/dyno-kv/dyno/client"
)

const (
	benchNodeCount = 3
	// benchSettle is how long nodes may take to be ready, and to agree on a leader.
	benchSettle = time.Minute
	// benchPorts is how far the nodes' ports are apart: each takes four.
	benchPorts = 10
)

// benchNodes are nodes that a measurement has started, each a process.
type benchNodes struct{ all [benchNodeCount]*benchNode }

type benchNode struct {
	name, client, log string
	args              []string
	cmd               *exec.Cmd // nil: it does not run
}

// startBenchNodes starts a new cluster in an empty directory below dir.
func startBenchNodes(ctx context.Context, dir string, port int) (*benchNodes, error) {
	dir = filepath.Join(dir, "dyno")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	b := &benchNodes{}
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", port+i*benchPorts) }
	for i := range b.all {
		n := &benchNode{name: fmt.Sprintf("n%d", i+1), client: address(i)}
		n.log = filepath.Join(dir, n.name+".log")
		n.args = []string{
			"serve", "--name", n.name, "--data-dir", filepath.Join(dir, n.name), "--listen", n.client,
			"--expect", fmt.Sprint(benchNodeCount), "--log-level", "warn",
		}
		if i > 0 {
			n.args = append(n.args, "--join", address(0))
		}
		b.all[i] = n
	}
	for _, n := range b.all {
		if err := n.start(); err != nil {
			return nil, errors.Join(err, b.stop())
		}
	}
	for _, n := range b.all {
		if err := n.await(ctx); err != nil {
			return nil, errors.Join(err, b.stop())
		}
	}
	return b, nil
}

// start starts the node; what it prints goes to its log, anew.
func (n *benchNode) start() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(n.log)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	cmd := exec.Command(program, n.args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	n.cmd = cmd
	return nil
}

// await waits until the node says that it is ready.
func (n *benchNode) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, benchSettle)
	defer cancel()
	for {
		text, err := os.ReadFile(n.log)
		if err != nil {
			return err
		}
		if bytes.HasPrefix(text, []byte("ready\n")) || bytes.Contains(text, []byte("\nready\n")) {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			const most = 1000
			return fmt.Errorf("node %s is not ready: %w: %s", n.name, ctx.Err(),
				text[max(0, len(text)-most):])
		}
	}
}

func (n *benchNode) pid() int { return n.cmd.Process.Pid }

// kill ends the node at once.
func (n *benchNode) kill() error {
	if n == nil || n.cmd == nil {
		return nil
	}
	err := n.cmd.Process.Kill()
	_ = n.cmd.Wait() // says that it was killed
	n.cmd = nil
	return err
}

// stop ends all nodes. Their data is thrown away: there is nothing to be orderly for.
func (b *benchNodes) stop() error {
	var errs []error
	for _, n := range b.all {
		errs = append(errs, n.kill())
	}
	return errors.Join(errs...)
}

func (b *benchNodes) endpoints() []string {
	var out []string
	for _, n := range b.all {
		out = append(out, n.client)
	}
	return out
}

// others are the addresses of all nodes but one.
func (b *benchNodes) others(but int) []string {
	var out []string
	for i, n := range b.all {
		if i != but {
			out = append(out, n.client)
		}
	}
	return out
}

func (b *benchNodes) pids() []int {
	var out []int
	for _, n := range b.all {
		out = append(out, n.pid())
	}
	return out
}

// settle waits until all nodes name one leader, and all of them have a seat, and is which of
// them leads.
func (b *benchNodes) settle(ctx context.Context, c *client.Client) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, benchSettle)
	defer cancel()
	for {
		leader, err := b.leader(ctx, c)
		if err == nil {
			return leader, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return -1, fmt.Errorf("no leader within %v: %w", benchSettle, err)
		}
	}
}

func (b *benchNodes) leader(ctx context.Context, c *client.Client) (int, error) {
	found := -1
	for i, n := range b.all {
		s, err := c.MetaStatus(ctx, client.WithEndpoint(n.client), client.WithTimeout(time.Second))
		switch {
		case err != nil:
			return -1, err
		case s.Leader == "":
			return -1, fmt.Errorf("node %s knows of no leader", n.name)
		case s.Role != client.SeatVoter:
			return -1, fmt.Errorf("node %s is %s, and no voter", n.name, s.Role)
		case s.Leader == n.name:
			found = i
		}
	}
	if found < 0 {
		return -1, errors.New("no node says that it leads")
	}
	return found, nil
}

// benchKiller kills the leader.
type benchKiller struct {
	nodes  *benchNodes
	client *client.Client
}

var _ lockload.Cluster = (*benchKiller)(nil)

// Kill implements lockload.Cluster.
func (k *benchKiller) Kill(ctx context.Context) (func(context.Context) error, error) {
	i, err := k.nodes.settle(ctx, k.client)
	if err != nil {
		return nil, err
	}
	n := k.nodes.all[i]
	if err := n.kill(); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if err := n.start(); err != nil {
			return err
		}
		if err := n.await(ctx); err != nil {
			return err
		}
		_, err := k.nodes.settle(ctx, k.client)
		return err
	}, nil
}
