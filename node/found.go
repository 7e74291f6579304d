// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/binary"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// firstNode is the number of the member that founds a cluster.
const firstNode = 1

// found makes this node the first of a new cluster, with the group's only seat. All that
// says so is written at once: a process that dies before has founded nothing.
func (n *Node) found() error {
	expect, replicas, partitions := n.cfg.Form.sizes()
	identity := wire.Identity{
		Cluster: n.drawCluster(), Node: firstNode, Name: n.own.Name,
		Created: n.cfg.Now().UnixMilli(),
	}
	o, err := begin(n.stores.Control, identity, n.stores.Boot, n.cfg.Random48(),
		n.stores.Data.MaxVersion() == 0, n.cfg.Points)
	if err != nil {
		return err
	}
	_, err = meta.Found(n.stores.Control, state.Founding{
		Cluster: identity.Cluster, Replicas: replicas, Partitions: partitions, Expect: expect,
		First: state.RegisterMember{
			Name: n.own.Name, Zone: n.own.Zone, Weight: n.own.Weight,
			Addresses: stateAddresses(n.own),
		},
		Open: o.past.Present(),
	}, o.records(false)...)
	if err != nil {
		return err
	}
	o.written = true
	n.log.Info("cluster founded", zap.String("cluster", ring.ClusterID(identity.Cluster).String()),
		zap.Int("expect", expect), zap.Int("replicas", replicas))
	return n.take(o, nil)
}

// drawCluster draws the id of a cluster: 16 bytes that no other cluster has.
func (n *Node) drawCluster() (id ring.ClusterID) {
	// Four of the six bytes of each draw.
	for at := 0; at < len(id); at += 4 {
		binary.BigEndian.PutUint32(id[at:], uint32(n.cfg.Random48()))
	}
	return id
}
