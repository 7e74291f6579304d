// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
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
	// Replicas and Partitions of a new cluster; 0 means min(3, Nodes) and 128. For one
	// that is there they must be 0 or equal.
	Replicas, Partitions int
	// Store is how directories are opened.
	Store storage.DirConfig
	// Node is how each node behaves; what names it is filled in.
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
	defaultNodes      = 3
	defaultReplicas   = 3
	defaultPartitions = 128
	maxNodes          = 16
)

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

// openFile loads the cluster of a directory, or forms one there (I1).
func openFile(c Config) (*file, error) {
	f, found, err := load(c.Dir)
	if err != nil {
		return nil, err
	}
	if !found {
		if err := checkEmpty(c.Dir); err != nil {
			return nil, err
		}
		if f, err = form(c); err != nil {
			return nil, err
		}
	} else if err := errors.Join(f.check(), f.matches(c)); err != nil {
		return nil, err
	}
	where, err := addresses(c.Listen, len(f.Members))
	if err != nil {
		return nil, err
	}
	if f.move(where) || !found {
		return f, f.save(c.Dir)
	}
	return f, nil
}

// form makes the first ring of a new cluster.
func form(c Config) (*file, error) {
	nodes, replicas, partitions := c.Nodes, c.Replicas, c.Partitions
	if nodes == 0 {
		nodes = defaultNodes
	}
	if replicas == 0 {
		replicas = min(defaultReplicas, nodes)
	}
	if replicas > nodes {
		return nil, fmt.Errorf("dev: %d replicas on %d nodes: each must be on a node of its own",
			replicas, nodes)
	}
	if partitions == 0 {
		partitions = defaultPartitions
	}
	where, err := addresses("127.0.0.1:1", nodes) // valid ones, until move
	if err != nil {
		return nil, err
	}
	var members []ring.Member
	for i := range nodes {
		instance, err := kv.MakeID[kv.Instance](0, uint64(i+1))
		if err != nil {
			return nil, err
		}
		members = append(members, ring.Member{
			ID: kv.NodeID(i + 1), Name: fmt.Sprintf("n%d", i+1), Weight: 1, Instance: instance,
			Client: where[i].client, Peer: where[i].peer, Gossip: where[i].gossip,
		})
	}
	var id ring.ClusterID
	_, _ = crand.Read(id[:]) // never fails
	state, err := ring.Form(id, replicas, partitions, members, 1)
	if err != nil {
		return nil, fmt.Errorf("dev: form the cluster: %w", err)
	}
	return fileOf(state), nil
}

// matches refuses options that the cluster in the directory was not formed with.
func (f *file) matches(c Config) error {
	for _, option := range []struct {
		name      string
		want, has int
	}{
		{"nodes", c.Nodes, len(f.Members)},
		{"replicas", c.Replicas, f.Replicas},
		{"partitions", c.Partitions, len(f.Placements)},
	} {
		if option.want != 0 && option.want != option.has {
			return fmt.Errorf("dev: the cluster in %s has %d %s, not %d: that is fixed when it is "+
				"formed", c.Dir, option.has, option.name, option.want)
		}
	}
	return nil
}

// nodeConfig fills in who a node is.
func (c *Cluster) nodeConfig(name string) node.Config {
	cfg := c.cfg.Node
	cfg.Name, cfg.Dir, cfg.Group = name, filepath.Join(c.cfg.Dir, name), c.group
	cfg.Control = &control{cluster: c, self: name}
	var listen net.ListenConfig
	var dial net.Dialer
	cfg.Listen = func(ctx context.Context, addr string) (net.Listener, error) {
		return listen.Listen(ctx, "tcp", addr)
	}
	cfg.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
		return dial.DialContext(ctx, "tcp", addr)
	}
	cfg.OpenStores = c.openStores
	cfg.Rand = rand.New(rand.NewPCG(random64(), random64()))
	cfg.Random48 = random48
	return cfg
}

// openStores opens a node's directory on Badger.
func (c *Cluster) openStores(dir string, log *zap.Logger) (*node.Stores, error) {
	d, err := storage.OpenDir(dir, c.cfg.Store)
	if err != nil {
		return nil, err
	}
	if err := c.checkRoom(d); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	boot, err := d.BootID()
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	data, err := d.OpenData(log)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	control, err := d.OpenControl(log.Named("control"))
	if err != nil {
		return nil, errors.Join(err, data.Close(), d.Close())
	}
	return &node.Stores{
		Data: data, Control: control, Boot: boot, FreeBytes: d.FreeBytes, Release: d.Close,
	}, nil
}

// checkRoom refuses to open engines on a disk below its reserve. They write when they are
// opened, and one that writes to a full disk takes the process with it.
func (c *Cluster) checkRoom(d *storage.Dir) error {
	free, err := d.FreeBytes()
	if err != nil {
		return err
	}
	if reserve := c.cfg.Node.Storage.LowWater; free < reserve {
		return fmt.Errorf("%w: %d bytes are free, and a reserve of %d is kept",
			storage.ErrDiskFull, free, reserve)
	}
	return nil
}

// random48 returns 48 cryptographic random bits, never 0.
func random48() uint64 { return max(1, random64()&vclock.MaxIncarnation) }

func random64() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}
