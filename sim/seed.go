// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"
)

// Source is the source of chance of that name, for one goroutine at a time. Two names of
// one seed share nothing.
func Source(seed uint64, name string) *rand.Rand { return source(seed, name) }

func source(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// shared is a source of chance for many goroutines.
type shared struct {
	mu   sync.Mutex
	rand *rand.Rand // guarded by mu
}

// below returns a number from 1 to most, which is one below a power of two.
func (s *shared) below(most uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(1, s.rand.Uint64()&most)
}
