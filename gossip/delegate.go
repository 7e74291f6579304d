// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// hooks is how memberlist calls us. Most of these calls come with memberlist's lock
// held, some from the loop that reads packets: they copy and return (I2; TRAPS N5
// and N9).
type hooks struct {
	roster *roster
	local  *localMeta
}

var (
	_ memberlist.Delegate         = (*hooks)(nil)
	_ memberlist.EventDelegate    = (*hooks)(nil)
	_ memberlist.AliveDelegate    = (*hooks)(nil)
	_ memberlist.MergeDelegate    = (*hooks)(nil)
	_ memberlist.ConflictDelegate = (*hooks)(nil)
)

// NodeMeta hands out what this node says of itself.
func (h *hooks) NodeMeta(int) []byte { return h.local.handOut() }

// NotifyMsg ignores user messages: dyno sends none.
func (h *hooks) NotifyMsg([]byte) { h.roster.strayMessages.Add(1) }

// GetBroadcasts has nothing to add.
func (h *hooks) GetBroadcasts(_, _ int) [][]byte { return nil }

// LocalState has nothing to add to a full exchange.
func (h *hooks) LocalState(bool) []byte { return nil }

// MergeRemoteState ignores what dyno does not send.
func (h *hooks) MergeRemoteState([]byte, bool) { h.roster.strayMessages.Add(1) }

func (h *hooks) NotifyJoin(n *memberlist.Node) {
	h.roster.alive(n.Name, n.Address(), n.Meta, time.Now())
}

func (h *hooks) NotifyUpdate(n *memberlist.Node) {
	h.roster.alive(n.Name, n.Address(), n.Meta, time.Now())
}

func (h *hooks) NotifyLeave(n *memberlist.Node) { h.roster.down(n.Name, time.Now()) }

// NotifyAlive refuses what is no node of this cluster, or can not be reached at the
// address that it names.
func (h *hooks) NotifyAlive(n *memberlist.Node) error {
	if l := len(n.Addr); (l != net.IPv4len && l != net.IPv6len) || n.Port == 0 {
		h.roster.metaRefused.Add(1)
		return fmt.Errorf("%w: address of %d bytes, port %d", errMeta, l, n.Port)
	}
	return h.roster.admit(n.Name, n.Meta)
}

// NotifyMerge refuses to join another cluster as a whole. Single members that make
// no sense are left to NotifyAlive: one of them must not keep the rest apart.
func (h *hooks) NotifyMerge(nodes []*memberlist.Node) error {
	for _, n := range nodes {
		if _, err := decodeMeta(h.roster.tag, n.Meta); errors.Is(err, errForeign) {
			h.roster.foreignRefused.Add(1)
			return err
		}
	}
	return nil
}

// NotifyConflict is told of a second address that claims a name.
func (h *hooks) NotifyConflict(existing, other *memberlist.Node) {
	addr := net.JoinHostPort(other.Addr.String(), strconv.Itoa(int(other.Port)))
	h.roster.conflict(existing.Name, existing.Address(), addr, time.Now())
}

// localMeta is what this node says of itself.
type localMeta struct {
	tag uint64

	// Guarded by mu.
	mu     sync.Mutex
	meta   Meta
	handed Meta // what memberlist got last
}

// change applies f and reports whether it changed anything.
func (l *localMeta) change(f func(*Meta)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.meta
	f(&l.meta)
	return l.meta != old
}

func (l *localMeta) handOut() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handed = l.meta
	return encodeMeta(l.tag, l.meta)
}

// stale reports whether memberlist has not yet been given the present meta, and whether
// what it lacks is more than the load.
func (l *localMeta) stale() (stale, weighty bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	handed := l.handed
	handed.Load = l.meta.Load
	return l.handed != l.meta, handed != l.meta
}
