// SPDX-License-Identifier: Apache-2.0

package node

import (
	"sync"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// moves remembers which of gossip's addresses the ring has overtaken. Mostly gossip is the
// fresher of the two. But a member that was killed and started elsewhere is refused its name
// by memberlist until its old address is dead, and dead for long, while the group knows
// where it is as soon as it has asked to be confirmed.
type moves struct {
	mu    sync.Mutex           // guards all below; nothing waits under it
	ring  map[kv.NodeID]string // where members' peers reached them, as the ring had it
	stale map[kv.NodeID]string // what gossip said when the ring said something new
}

// follow takes in a ring. heard is where gossip takes a member's peer port to be, "" where it
// does not know.
func (s *moves) follow(current *ring.Ring, heard func(kv.NodeID) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring == nil {
		s.ring, s.stale = make(map[kv.NodeID]string), make(map[kv.NodeID]string)
	}
	for _, m := range current.Members() {
		before, known := s.ring[m.ID]
		s.ring[m.ID] = m.Peer
		if !known || before == m.Peer {
			continue
		}
		delete(s.stale, m.ID)
		if at := heard(m.ID); at != m.Peer {
			s.stale[m.ID] = at
		}
	}
}

// overtaken reports whether gossip says of a member what it said before the ring had news.
func (s *moves) overtaken(node kv.NodeID, heard string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, stale := s.stale[node]
	return stale && at == heard
}
