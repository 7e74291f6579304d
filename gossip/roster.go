// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

const (
	// downRetention is how long an unregistered member that went down is shown.
	downRetention = 15 * time.Minute
	// maxConflicts bounds the reports that are kept: one is already too many.
	maxConflicts = 64
)

var errRoom = fmt.Errorf("gossip: %d members are known, no room for more", MaxMembers)

// roster is what memberlist has told so far. Its methods are called by memberlist
// with its own lock held, so they only copy under mu and poke changed: they never
// wait, log, or call memberlist (I2).
type roster struct {
	// Immutable after newRoster.
	self        string
	tag         uint64
	conflictTTL time.Duration
	changed     chan struct{} // capacity 1: a poke that is pending covers all changes

	// Counters, in Stats.
	metaRefused    atomic.Uint64
	foreignRefused atomic.Uint64
	roomRefused    atomic.Uint64
	conflictCount  atomic.Uint64
	strayMessages  atomic.Uint64

	// Guarded by mu.
	mu         sync.Mutex
	members    map[string]Member // at most MaxMembers, by name
	conflicts  map[string]Conflict
	registered map[string]registration // by name
	names      map[kv.NodeID]string    // of the registered
}

type registration struct {
	peer  Peer
	since time.Time
}

func newRoster(self string, tag uint64, conflictTTL time.Duration) *roster {
	return &roster{
		self:        self,
		tag:         tag,
		conflictTTL: conflictTTL,
		changed:     make(chan struct{}, 1),
		members:     make(map[string]Member),
		conflicts:   make(map[string]Conflict),
	}
}

// poke sends to a channel of capacity 1 without waiting.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// admit decides whether a member may be known at all. It counts what it refuses.
func (r *roster) admit(name string, meta []byte) error {
	if !kv.ValidMemberName(name) {
		r.metaRefused.Add(1)
		return fmt.Errorf("%w: name of %d bytes", errMeta, len(name))
	}
	if _, err := decodeMeta(r.tag, meta); err != nil {
		if errors.Is(err, errForeign) {
			r.foreignRefused.Add(1)
		} else {
			r.metaRefused.Add(1)
		}
		return err
	}
	r.mu.Lock()
	_, known := r.members[name]
	full := len(r.members) >= MaxMembers
	r.mu.Unlock()
	if full && !known {
		r.roomRefused.Add(1)
		return errRoom
	}
	return nil
}

// alive records that a member runs, or says something new of itself.
func (r *roster) alive(name, addr string, meta []byte, now time.Time) {
	m, err := decodeMeta(r.tag, meta)
	if err != nil {
		r.metaRefused.Add(1) // admit has refused it before; never trusted twice
		return
	}
	r.mu.Lock()
	old, known := r.members[name]
	member := Member{Name: name, Addr: addr, Status: StatusAlive, Since: now, Meta: m}
	if known && old.Status == StatusAlive {
		member.Since = old.Since
	}
	if known && old.Addr != addr {
		delete(r.conflicts, name) // it was a restart at another address
	}
	r.members[name] = member
	r.mu.Unlock()
	poke(r.changed)
}

// down records that a member is silent, or left.
func (r *roster) down(name string, now time.Time) {
	r.mu.Lock()
	if m, ok := r.members[name]; ok && m.Status != StatusDown {
		m.Status, m.Since = StatusDown, now
		r.members[name] = m
		delete(r.conflicts, name) // nobody is left to conflict with
	}
	r.mu.Unlock()
	poke(r.changed)
}

// conflict records that a second address claims a name. While the first is known
// to be down it is only a restart that waits until the name is free again.
func (r *roster) conflict(name, addr, other string, now time.Time) {
	r.mu.Lock()
	m, ok := r.members[name]
	if ok && m.Status == StatusAlive {
		r.conflictCount.Add(1)
		r.reportLocked(name, addr, other, now)
	}
	r.mu.Unlock()
	poke(r.changed)
}

func (r *roster) reportLocked(name, addr, other string, now time.Time) {
	c, known := r.conflicts[name]
	if !known && len(r.conflicts) >= maxConflicts {
		return
	}
	if !known || now.Sub(c.Last) > r.conflictTTL {
		c = Conflict{Name: name, First: now}
	}
	c.Addr, c.OtherAddr, c.Last = addr, other, now
	c.Reports++
	r.conflicts[name] = c
}

// register replaces the registered members and reports whether that changed any.
func (r *roster) register(peers []Peer, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := make(map[string]registration, len(peers))
	names := make(map[kv.NodeID]string, len(peers))
	same := len(peers) == len(r.registered)
	for _, p := range peers {
		reg := registration{peer: p, since: now}
		if old, ok := r.registered[p.Name]; ok && old.peer == p {
			reg = old
		} else {
			same = false
		}
		next[p.Name] = reg
		names[p.ID] = p.Name
	}
	r.registered, r.names = next, names
	return !same
}

// missing returns the registered members that are not alive, this node excepted,
// in order of their names.
func (r *roster) missing() []Peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	var peers []Peer
	for name, reg := range r.registered {
		if name != r.self && r.members[name].Status != StatusAlive {
			peers = append(peers, reg.peer)
		}
	}
	slices.SortFunc(peers, func(a, b Peer) int { return cmp.Compare(a.Name, b.Name) })
	return peers
}

// purge forgets conflicts that ended, and members that went down long ago and are
// registered no more.
func (r *roster) purge(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, c := range r.conflicts {
		if now.Sub(c.Last) > r.conflictTTL {
			delete(r.conflicts, name)
		}
	}
	for name, m := range r.members {
		_, registered := r.registered[name]
		if m.Status == StatusDown && !registered && now.Sub(m.Since) > downRetention {
			delete(r.members, name)
		}
	}
}

// view returns what is known as an immutable value.
func (r *roster) view(now time.Time) View {
	r.mu.Lock()
	v := View{Self: r.self, alive: make(map[kv.NodeID]Member, len(r.members))}
	v.Members = make([]Member, 0, len(r.members)+len(r.registered))
	for name, m := range r.members {
		_, m.Registered = r.registered[name]
		v.Members = append(v.Members, m)
	}
	for name, reg := range r.registered {
		if _, known := r.members[name]; !known {
			v.Members = append(v.Members, Member{
				Name: name, Addr: reg.peer.GossipAddr, Status: StatusUnknown,
				Since: reg.since, Registered: true, Meta: Meta{NodeID: reg.peer.ID},
			})
		}
	}
	for _, c := range r.conflicts {
		if now.Sub(c.Last) <= r.conflictTTL {
			v.Conflicts = append(v.Conflicts, c)
		}
	}
	names := r.names // replaced, never changed
	r.mu.Unlock()

	slices.SortFunc(v.Members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	v.count(names, now)
	slices.SortFunc(v.Conflicts, func(a, b Conflict) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.OtherAddr, b.OtherAddr))
	})
	return v
}

// count chooses the member that counts for each node id: the one of the registered
// name, else the first by name. Two live members of one id are a conflict.
func (v *View) count(names map[kv.NodeID]string, now time.Time) {
	for _, m := range v.Members {
		if m.Status != StatusAlive {
			continue
		}
		id := m.Meta.NodeID
		first, taken := v.alive[id]
		switch registered, ok := names[id]; {
		case ok && registered != m.Name:
			v.clash(v.holder(registered), m, now)
		case taken:
			v.clash(first, m, now)
		default:
			v.alive[id] = m
		}
	}
}

// holder returns the member of a registered name: it is listed, if only as unknown.
func (v *View) holder(name string) Member {
	i := slices.IndexFunc(v.Members, func(m Member) bool { return m.Name == name })
	return v.Members[i]
}

func (v *View) clash(holder, other Member, now time.Time) {
	v.Conflicts = append(v.Conflicts, Conflict{
		Name: holder.Name, Addr: holder.Addr, OtherAddr: other.Addr,
		First: other.Since, Last: now, Reports: 1,
	})
}
