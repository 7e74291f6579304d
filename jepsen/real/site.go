// SPDX-License-Identifier: Apache-2.0

package real

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dyno-kv/dyno/client"
)

// Site is where nodes run, and what they run on. What is nil or empty is as on this machine.
type Site struct {
	// Binary is the dyno program, Flags are more of those of `dyno serve`.
	Binary string
	Flags  []string
	// Dir is an empty folder for logs, and for directories of nodes that Data has none of.
	Dir   string
	Nodes int
	// Addresses are where nodes listen for clients, and are found; Listen is where they listen
	// where that is elsewhere, on the same ports.
	Addresses, Listen []string
	// Data are their directories.
	Data []string
	// Environ is what node i finds in its environment beside what this process has.
	Environ func(i int) []string
	// Run starts the command of node i.
	Run func(i int, cmd *exec.Cmd) error
	// Dial is the way of the rig itself to the nodes.
	Dial client.Dialer
}

// Start starts a new cluster of so many nodes below dir, which must be empty, and waits until
// there are a leader and as many voters as there will be, and all are ready. binary is the
// dyno program, flags are more of those of `dyno serve`.
func Start(
	ctx context.Context, binary, dir string, nodes int, flags ...string,
) (*Cluster, error) {
	return StartAt(ctx, Site{Binary: binary, Dir: dir, Nodes: nodes, Flags: flags})
}

// StartAt is Start at a site.
func StartAt(ctx context.Context, s Site) (*Cluster, error) {
	c := &Cluster{site: s, addresses: slices.Clone(s.Addresses)}
	if len(c.addresses) == 0 {
		base, err := c.freePorts(s.Nodes * portsEach)
		if err != nil {
			return nil, err
		}
		for i := range s.Nodes {
			c.addresses = append(c.addresses, fmt.Sprintf("127.0.0.1:%d", base+i*portsEach))
		}
	}
	for i := range s.Nodes {
		c.nodes = append(c.nodes, s.node(i))
		c.binaries = append(c.binaries, s.Binary)
	}
	var err error
	if c.admin, err = c.Client(); err != nil {
		return nil, err
	}
	for i := range c.nodes {
		if err := c.Restart(i); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if err := c.settle(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.formed = true
	return c, nil
}

func (s *Site) node(i int) *nodeProcess {
	name := fmt.Sprintf("n%d", i+1)
	p := &nodeProcess{
		name: name, dir: filepath.Join(s.Dir, name), log: filepath.Join(s.Dir, name+".log"),
	}
	if len(s.Data) > 0 {
		p.dir = s.Data[i]
	}
	if s.Environ != nil {
		p.environ = s.Environ(i)
	}
	if s.Run != nil {
		p.run = func(cmd *exec.Cmd) error { return s.Run(i, cmd) }
	}
	return p
}

// Use has node i run another program from its next start on.
func (c *Cluster) Use(i int, binary string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.binaries[i] = binary
}

func (c *Cluster) binary(i int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.binaries[i]
}

func (c *Cluster) start(i int, more ...string) error {
	at, p := c.Addresses(), c.nodes[i]
	args := []string{
		"serve", "--name", p.name, "--data-dir", p.dir,
		"--expect", fmt.Sprint(len(at)), "--disk-reserve", "0", "--log-format", "json",
	}
	if len(c.site.Listen) == 0 {
		args = append(args, "--listen", at[i])
	} else {
		told, _, _ := strings.Cut(at[i], ":")
		args = append(args, "--listen", c.site.Listen[i], "--advertise", told)
	}
	switch others := slices.Delete(at, i, i+1); {
	case c.formed:
		args = append(args, "--join", strings.Join(others, ","))
	case i > 0: // the first one founds the cluster
		args = append(args, "--join", others[0])
	}
	return p.start(c.binary(i), slices.Concat(args, c.site.Flags, more)...)
}
