// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/dyno-kv/dyno/kv"
)

// ErrSpread is returned for a list of nodes that may not be a partition's.
var ErrSpread = errors.New("ring: list breaks a placement rule")

// Spread is the rule of which nodes may together hold one partition (I7): distinct
// members that take data, as evenly over the zones as the zones' nodes allow. With three
// replicas that is one node in each of three zones, or two and one where there are two.
type Spread struct {
	replicas int
	zoneOf   map[kv.NodeID]string
	bounds   map[string]bounds
}

// NewSpread returns the rule for the members of weight above zero.
func NewSpread(members []Member, replicas int) Spread {
	s := Spread{replicas: replicas, zoneOf: make(map[kv.NodeID]string, len(members))}
	nodes := make(map[string]int)
	for _, m := range members {
		if m.Weight > 0 {
			s.zoneOf[m.ID] = m.Zone
			nodes[m.Zone]++
		}
	}
	zones := slices.Sorted(maps.Keys(nodes))
	sizes := make([]int, len(zones))
	for z, zone := range zones {
		sizes[z] = nodes[zone]
	}
	s.bounds = make(map[string]bounds, len(zones))
	for z, b := range zoneBounds(sizes, replicas) {
		s.bounds[zones[z]] = b
	}
	return s
}

// Check returns why the list, one node per slot, breaks the rule, or nil. The error
// wraps ErrSpread and names everything that is wrong with the list.
func (s Spread) Check(list []kv.NodeID) error {
	var errs []error
	if len(list) != s.replicas {
		errs = append(errs, fmt.Errorf("%d nodes, not %d", len(list), s.replicas))
	}
	counts := make(map[string]int, len(list))
	for j, node := range list {
		zone, ok := s.zoneOf[node]
		if !ok {
			errs = append(errs, fmt.Errorf("node %d is no member that takes data", node))
			continue
		}
		if slices.Contains(list[:j], node) {
			errs = append(errs, fmt.Errorf("node %d stands in it twice", node))
		}
		counts[zone]++
	}
	for _, zone := range slices.Sorted(maps.Keys(s.bounds)) {
		if b := s.bounds[zone]; counts[zone] < b.lo || counts[zone] > b.hi {
			errs = append(errs, fmt.Errorf("%d nodes in zone %q, not %d to %d",
				counts[zone], zone, b.lo, b.hi))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrSpread, errors.Join(errs...))
}

// bounds are the least and the most of something.
type bounds struct{ lo, hi int }

// zoneBounds returns how many of the replicas each zone holds, given the number of nodes
// of each. The zones fill evenly, like connected vessels: up to the level at which they
// hold all replicas together; at the last level not every zone is needed. It needs at
// least as many nodes as replicas.
func zoneBounds(sizes []int, replicas int) []bounds {
	level := 0
	for held := 0; held < replicas && level < replicas; {
		level++
		held = 0
		for _, size := range sizes {
			held += min(size, level)
		}
	}
	list := make([]bounds, len(sizes))
	held := 0
	for z, size := range sizes {
		list[z] = bounds{lo: min(size, level-1), hi: min(size, level)}
		held += list[z].hi
	}
	if held == replicas {
		for z := range list {
			list[z].lo = list[z].hi
		}
	}
	return list
}
