// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// maxRemembered bounds the openings that are remembered: seats are few, and of a member
	// only its newest raft ids matter.
	maxRemembered = 256
	// maxGreeted bounds the connections that said hello. A seat has one to each other.
	maxGreeted = 256
)

// gate decides whose raft messages are taken. A seat whose store was rolled back, restored
// or copied must neither vote nor acknowledge: it may have promised what it no longer
// knows (ARCHITECTURE 8). So each side shows its openings, the other compares them with
// the newest that it remembers, and makes the new ones durable before it takes a message.
//
// Messages are taken only between two seats that have accepted each other: who is refused
// must not be fed either, for raft takes a seat that lost its log for a broken one.
type gate struct {
	control *storage.Control
	read    func(func(*state.State))

	mu sync.Mutex // guards what follows; never held over a wait
	// own is the raft id of this member; 0: it has no seat.
	own state.RaftID
	// greeted has the raft id that was accepted on a connection.
	greeted map[connection]state.RaftID
	// accepted are those who have accepted own.
	accepted map[state.RaftID]bool
	// terms are the highest terms that were heard from others.
	terms map[state.RaftID]uint64
	// seats are all raft ids of the configuration.
	seats []state.RaftID

	// remembered are the newest openings of others, durable. Owned by whoever judges, which
	// is one goroutine.
	remembered map[state.RaftID]kv.Open
}

// connection is one that another seat has made: an *rpc.ServerConn.
type connection interface {
	// Done is closed when it has ended.
	Done() <-chan struct{}
}

// openGate reads what is remembered.
func openGate(control *storage.Control, read func(func(*state.State))) (*gate, error) {
	g := &gate{
		control: control, read: read, greeted: make(map[connection]state.RaftID),
		accepted: make(map[state.RaftID]bool), terms: make(map[state.RaftID]uint64),
		remembered: make(map[state.RaftID]kv.Open),
	}
	var peers []wire.RaftPeer
	if err := load(control, wire.KeyRaftPeers, wire.DecodeRaftPeersRecord, &peers); err != nil {
		return nil, err
	}
	for _, p := range peers {
		g.remembered[state.RaftID(p.Raft)] = p.Open
	}
	return g, nil
}

// become sets this member's raft id: everybody has to say hello again.
func (g *gate) become(own state.RaftID, seats []state.RaftID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.own, g.seats = own, seats
	clear(g.greeted)
	clear(g.accepted)
}

// reseat tells of a change of the configuration. Who is no longer in it has to say hello
// again, and learns by that what has become of its seat: nobody else tells it.
func (g *gate) reseat(seats []state.RaftID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for conn, id := range g.greeted {
		if slices.Contains(g.seats, id) && !slices.Contains(seats, id) {
			delete(g.greeted, conn)
		}
	}
	g.seats = seats
}

// acceptedBy notes that another seat has accepted this one, under the raft id that it had.
func (g *gate) acceptedBy(other, own state.RaftID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if own == g.own {
		g.accepted[other] = true
	}
}

// acceptedByAll reports whether all other seats have accepted this one.
func (g *gate) acceptedByAll() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range g.seats {
		if id != g.own && !g.accepted[id] {
			return false
		}
	}
	return true
}

// passes says why messages from a raft id on a connection are not taken; nil: they are.
func (g *gate) passes(conn connection, from state.RaftID) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.own == 0:
		return errNoSeatHere
	case from == 0 || g.greeted[conn] != from:
		return errHelloFirst
	case !g.accepted[from]:
		return errNotAcceptedYet
	}
	return nil
}

// heard notes the term of a message that passed.
func (g *gate) heard(from state.RaftID, term uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.terms[from] = max(g.terms[from], term)
}

// judge decides about a hello. What it accepts is durable when it returns. The error is
// one of the store.
func (g *gate) judge(conn connection, h *wire.MetaHello) (wire.MetaHello, error) {
	from := state.RaftID(h.Raft)
	g.mu.Lock()
	own, term, seated := g.own, g.terms[from], slices.Contains(g.seats, from)
	g.mu.Unlock()
	answer := wire.MetaHello{Raft: uint64(own), For: h.Raft, Verdict: kv.VerdictUnknown}
	asked := h.For == 0 && from != 0 // for a verdict only
	switch {
	case asked && len(h.Open) > 0:
	case own == 0:
		answer.Detail = errNoSeatHere.Error()
		return answer, nil
	case state.RaftID(h.For) != own:
		// Who is of the time of an earlier raft id hears what has become of its own.
		if v, why := g.verdict(from, h, term, seated); refuses(v) {
			answer.Verdict, answer.Detail, answer.Open = v, why, g.lacking(from, h.Open)
			return answer, nil
		}
		answer.Detail = fmt.Sprintf("meta: raft id %v is not here, %v is", state.RaftID(h.For), own)
		return answer, nil
	case from == 0 || len(h.Open) == 0:
		answer.Detail = "meta: a seat shows its raft id and its openings"
		return answer, nil
	}
	answer.Verdict, answer.Detail = g.verdict(from, h, term, seated)
	if newer := g.newer(from); asked && newer != 0 {
		answer.Verdict, answer.Detail = kv.VerdictLost, fmt.Sprintf("meta: raft id %v was replaced by "+
			"%v", from, newer)
	}
	if answer.Verdict != kv.VerdictConfirmed {
		answer.Open = g.lacking(from, h.Open)
		return answer, nil
	}
	if err := g.remember(from, h.Open[len(h.Open)-1]); err != nil {
		return answer, err
	}
	if !asked {
		g.admit(conn, from, own)
	}
	return answer, nil
}

// newer returns a raft id that the member of another one had later, if one was heard of.
func (g *gate) newer(than state.RaftID) (newer state.RaftID) {
	for id := range g.remembered {
		if id.Node() == than.Node() && id > than {
			newer = max(newer, id)
		}
	}
	return newer
}

// lacking returns the opening that is known of a raft id and that a store does not show, if
// there is one: who is refused can see for itself.
func (g *gate) lacking(from state.RaftID, shown []kv.Open) []kv.Open {
	known := []kv.Open{g.remembered[from]}
	g.read(func(s *state.State) {
		if s == nil {
			return
		}
		if m, found := s.Member(from.Node()); found && m.Raft == from {
			known = append(known, m.RaftOpen)
		}
	})
	for _, o := range known {
		if kv.JudgeOpens(o, shown) != kv.VerdictConfirmed {
			return []kv.Open{o}
		}
	}
	return nil
}

// verdict judges openings by what is remembered of them and by what the group knows. A
// raft id that the group has given up is VerdictLost.
func (g *gate) verdict(
	from state.RaftID, h *wire.MetaHello, term uint64, seated bool,
) (kv.Verdict, string) {
	if mutant.On(mutant.LostSeatVotes) {
		return kv.VerdictConfirmed, ""
	}
	if v := kv.JudgeOpens(g.remembered[from], h.Open); v != kv.VerdictConfirmed {
		return v, fmt.Sprintf("meta: raft id %v was seen with a later opening of its store (%d): "+
			"the store was rolled back, restored or copied", from, g.remembered[from].Seq)
	}
	if h.Term < term {
		return kv.VerdictForked, fmt.Sprintf("meta: raft id %v has forgotten term %d: its store was "+
			"rolled back", from, term)
	}
	verdict, detail := kv.VerdictConfirmed, ""
	g.read(func(s *state.State) {
		if s == nil {
			return // a learner that knows nothing yet
		}
		m, known := s.Member(from.Node())
		switch {
		case !known, from > m.RaftLast:
			// This member lags, and has yet to hear of it.
		case m.Raft == from:
			if verdict = kv.JudgeOpens(m.RaftOpen, h.Open); verdict != kv.VerdictConfirmed {
				detail = fmt.Sprintf("meta: the group knows a later opening (%d) of the store of raft "+
					"id %v: the store was rolled back, restored or copied", m.RaftOpen.Seq, from)
			}
		case !seated:
			verdict = kv.VerdictLost
			detail = fmt.Sprintf("meta: the group has given up raft id %v", from)
		case g.remembered[from] == kv.Open{}:
			// It may have to be heard until it is removed (docs/adr/0017), but its newest opening
			// is known only to those who were shown it.
			verdict = kv.VerdictUnknown
			detail = fmt.Sprintf("meta: the group has replaced raft id %v, and this member never "+
				"knew its store", from)
		}
	})
	return verdict, detail
}

// remember makes an opening durable.
func (g *gate) remember(from state.RaftID, open kv.Open) error {
	if g.remembered[from] == open {
		return nil
	}
	peers := make([]wire.RaftPeer, 0, len(g.remembered)+1)
	for id, o := range g.remembered {
		if id != from {
			peers = append(peers, wire.RaftPeer{Raft: uint64(id), Open: o})
		}
	}
	// The lowest counters are the oldest raft ids; of each member only the last counts.
	slices.SortFunc(peers, func(a, b wire.RaftPeer) int {
		return cmp.Or(cmp.Compare(counter(a.Raft), counter(b.Raft)), cmp.Compare(a.Raft, b.Raft))
	})
	peers = append(peers, wire.RaftPeer{Raft: uint64(from), Open: open})
	for len(peers) > maxRemembered {
		delete(g.remembered, state.RaftID(peers[0].Raft))
		peers = peers[1:]
	}
	record := wire.AppendRaftPeersRecord(nil, peers)
	if err := g.control.Put(wire.KeyRaftPeers, record); err != nil {
		return err
	}
	g.remembered[from] = open
	return nil
}

// counter is the part of a raft id that rises with time.
func counter(raft uint64) uint64 { return raft & (1<<48 - 1) }

// admit lets messages of a raft id pass on a connection.
func (g *gate) admit(conn connection, from, own state.RaftID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.own != own {
		return // another life meanwhile
	}
	for c, id := range g.greeted {
		if id == from || ended(c) {
			delete(g.greeted, c) // a seat has one connection: its newest
		}
	}
	if len(g.greeted) < maxGreeted {
		g.greeted[conn] = from
	}
}

func ended(c connection) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}
