// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"bytes"
	"errors"
	"maps"
	"slices"
)

// compare stops every host in order, and compares what their disks hold of each key: after
// final reads through every node all owners hold the same, byte for byte.
func (r *run) compare() {
	held := make(map[string][]copyOf)
	for _, h := range r.hosts {
		if h.lost {
			continue
		}
		objects, err := r.objects(h)
		if err != nil {
			r.problem("divergence", "read the disk of %s: %v", h.Name, err)
			return
		}
		for _, key := range slices.Sorted(maps.Keys(objects)) {
			held[key] = append(held[key], copyOf{h, objects[key]})
		}
	}
	if len(held) == 0 {
		r.unsure("divergence", "there is nothing to compare")
	}
	told := 0
	for _, key := range slices.Sorted(maps.Keys(held)) {
		if !r.agree(key, held[key]) {
			if told++; told == mostTold {
				return
			}
		}
	}
}

// mostTold bounds what is told of one rule.
const mostTold = 8

type copyOf struct {
	host  *host
	value []byte
}

// agree compares the copies of one key.
func (r *run) agree(key string, copies []copyOf) bool {
	lost := 0
	for _, h := range r.hosts {
		if h.lost {
			lost++
		}
	}
	n := r.plan.Cluster.Replicas
	if len(copies) > n || len(copies) < n-lost {
		r.problem("divergence", "%q is on %d hosts, %d replicas were asked for", key, len(copies), n)
		return false
	}
	whole := slices.DeleteFunc(copies, func(c copyOf) bool { return r.damaged(c.host) })
	for i := 1; i < len(whole); i++ {
		if one, other := whole[0], whole[i]; !bytes.Equal(one.value, other.value) {
			r.problem("divergence", "%q on %s is %x, on %s %x", key,
				one.host.Name, one.value, other.host.Name, other.value)
			return false
		}
	}
	return true
}

// damaged reports whether the host's records may have flipped bits.
func (r *run) damaged(h *host) bool { return h.Disk.Stats().Flips > 0 }

// objects are the records of objects on a host's disk, after its process has ended.
func (r *run) objects(h *host) (map[string][]byte, error) {
	if h.Up() {
		if err := h.Stop(); err != nil {
			return nil, err
		}
	}
	h.down++
	stores, err := h.Disk.Open(r.log)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte)
	err = stores.Data.Iterate(stores.Data.MaxVersion(), []byte(objectPrefix), nil,
		func(key, value []byte) bool {
			out[string(key)] = bytes.Clone(value)
			return true
		})
	return out, errors.Join(err, stores.Data.Close(), stores.Control.Close(), stores.Release())
}

// objectPrefix begins the keys of objects (ARCHITECTURE 6).
const objectPrefix = "o"
