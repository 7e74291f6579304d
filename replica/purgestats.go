// SPDX-License-Identifier: Apache-2.0

package replica

import "github.com/dyno-kv/dyno/kv"

// PurgeStats is where this node stands in purge rounds.
type PurgeStats struct {
	Epoch  kv.PurgeEpoch // the highest that it has adopted, of all partitions; 0: none
	Open   int           // partitions in which it has adopted a round and not drained yet
	Missed int           // partitions that are not ready, since the store missed a round
	Purged uint64        // keys that were taken away here, since the start
}

// PurgeStats returns the present numbers.
func (r *Replica) PurgeStats() PurgeStats {
	s := PurgeStats{Purged: r.purged.Load()}
	for p := range r.parts {
		at := r.parts[p].stand()
		s.Epoch = max(s.Epoch, at.Adopted)
		if at.Adopted > at.Drained {
			s.Open++
		}
		if r.parts[p].missed.Load() {
			s.Missed++
		}
	}
	return s
}
