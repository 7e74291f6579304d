// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// Config says what cluster to run.
type Config struct {
	// Dir holds the cluster file and a directory for each node. It is made where it is
	// not there; it must be empty or hold such a cluster.
	Dir string
	// Nodes is how many nodes a new cluster has, 1 to 16. 0 means 3, or as many as the
	// cluster in Dir has.
	Nodes int
	// Listen is where the first node listens for clients; the others follow, 10 ports
	// apart. Port 0 takes free ports.
	Listen string
	// AdminListen is where the first node's admin port is, and those of the others follow, 10
	// ports apart. Empty: each is three above its node's client port.
	AdminListen string
	// Replicas and Partitions of a new cluster; 0 means min(3, Nodes) and 128. For one
	// that is there they must be 0 or equal.
	Replicas, Partitions int
	// Store is how directories are opened.
	Store storage.DirConfig
	// Node is how each node behaves; who it is and what it stands on is filled in.
	Node node.Config
}

// DefaultConfig is what `dyno dev` runs, but for Dir.
func DefaultConfig() Config {
	cfg := Config{
		Listen: "127.0.0.1:4610", Store: storage.DefaultDirConfig(), Node: node.DefaultConfig(),
	}
	// Several nodes share one machine: each takes less of it than one alone would.
	cfg.Store.Memtable = 16 << 20
	cfg.Node.Storage.CacheBytes = 16 << 20
	return cfg
}

const (
	defaultNodes    = 3
	defaultReplicas = 3
	maxNodes        = 16
)

// Member is a node of the cluster, and where it listens.
type Member struct{ Name, Client, Peer, Gossip, Admin string }

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	var faults []error
	if c.Dir == "" {
		faults = append(faults, errors.New("dev: a directory is needed"))
	}
	if c.Nodes < 0 || c.Nodes > maxNodes {
		faults = append(faults, fmt.Errorf("dev: %d nodes, must be 1 to %d", c.Nodes, maxNodes))
	}
	if c.Replicas < 0 || c.Nodes > 0 && c.Replicas > c.Nodes {
		faults = append(faults, fmt.Errorf("dev: %d replicas on %d nodes: each must be on a node "+
			"of its own", c.Replicas, c.Nodes))
	}
	if c.Partitions < 0 || c.Partitions&(c.Partitions-1) != 0 || c.Partitions > ring.MaxPartitions {
		faults = append(faults, fmt.Errorf("dev: %d partitions, must be a power of two, at most %d",
			c.Partitions, ring.MaxPartitions))
	}
	return errors.Join(faults...)
}

// openFile loads the cluster of a directory, or begins one there (I1).
func openFile(c Config) (*file, error) {
	f, found, err := load(c.Dir)
	if err != nil {
		return nil, err
	}
	if found {
		return f, f.matches(c)
	}
	if err := checkEmpty(c.Dir); err != nil {
		return nil, err
	}
	f = &file{
		Version: fileVersion, Nodes: c.Nodes, Replicas: c.Replicas, Partitions: c.Partitions,
	}
	if f.Nodes == 0 {
		f.Nodes = defaultNodes
	}
	if f.Replicas == 0 {
		f.Replicas = min(defaultReplicas, f.Nodes)
	}
	if f.Replicas > f.Nodes {
		return nil, fmt.Errorf("dev: %d replicas on %d nodes: each must be on a node of its own",
			f.Replicas, f.Nodes)
	}
	if f.Partitions == 0 {
		f.Partitions = ring.DefaultPartitions
	}
	return f, f.save(c.Dir)
}

// matches refuses options that the cluster in the directory was not formed with.
func (f *file) matches(c Config) error {
	for _, option := range []struct {
		name      string
		want, has int
	}{
		{"nodes", c.Nodes, f.Nodes},
		{"replicas", c.Replicas, f.Replicas},
		{"partitions", c.Partitions, f.Partitions},
	} {
		if option.want != 0 && option.want != option.has {
			return fmt.Errorf("dev: the cluster in %s has %d %s, not %d: that is fixed when it is "+
				"formed", c.Dir, option.has, option.name, option.want)
		}
	}
	return nil
}

// layout are the members of a cluster with the addresses of this start.
func layout(c Config, f *file) ([]Member, error) {
	where, err := addresses(c.Listen, c.AdminListen, f.Nodes)
	if err != nil {
		return nil, err
	}
	var members []Member
	for i, a := range where {
		members = append(members, Member{
			Name: fmt.Sprintf("n%d", i+1), Client: a.client, Peer: a.peer, Gossip: a.gossip,
			Admin: a.admin,
		})
	}
	return members, nil
}

// nodeConfig says who a node is. All of them join all others; while the cluster has not
// been formed the first founds it, unless its directory says that it did.
func (c *Cluster) nodeConfig(name string) node.Config {
	cfg := c.cfg.Node
	cfg.Name, cfg.Dir = name, filepath.Join(c.cfg.Dir, name)
	cfg.Form.Expect, cfg.Form.Replicas = c.file.Nodes, c.file.Replicas
	cfg.Form.Partitions = c.file.Partitions
	for i, m := range c.members {
		if m.Name != name {
			cfg.Form.Join = append(cfg.Form.Join, m.Client)
			continue
		}
		cfg.Form.Addresses = wire.Addresses{
			Client: m.Client, Peer: m.Peer, Gossip: m.Gossip, Admin: m.Admin,
		}
		cfg.Form.Bootstrap = i == 0 && !c.formed()
	}
	cfg.Rejoin = cfg.Rejoin && c.formed() // before that nothing can be lost
	cfg.Control = &control{cluster: c, self: name}
	cfg.OnMachine(c.cfg.Store)
	return cfg
}
