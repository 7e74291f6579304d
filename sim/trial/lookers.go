// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/history"
)

// sight is what one read of all locks showed.
type sight struct {
	from, by int64
	node     string
	locks    []client.LockInfo
}

// sights are all reads of locks in a run.
type sights struct {
	mu   sync.Mutex
	list []sight // guarded by mu
}

const (
	// lookEvery is how far apart the reads of one looker are, on average.
	lookEvery = 200 * time.Millisecond
	// lookTime bounds one.
	lookTime = time.Second
)

// lookAtLocks has one client read all locks, through one host after the other, until ctx
// ends: through whoever led before as well.
func (r *run) lookAtLocks(ctx context.Context, cl *client.Client, rng *rand.Rand) {
	for {
		pause := time.NewTimer(time.Duration(rng.Int64N(int64(2 * lookEvery))))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
		h := r.hosts[rng.IntN(len(r.hosts))]
		s := sight{from: r.now(), node: h.Name}
		whole := true
		for info, err := range cl.Locks(ctx, "", client.WithEndpoint(h.Member.Client),
			client.WithTimeout(lookTime)) {
			if whole = err == nil; !whole {
				break
			}
			s.locks = append(s.locks, info)
		}
		if s.by = r.now(); whole {
			r.sights.mu.Lock()
			r.sights.list = append(r.sights.list, s)
			r.sights.mu.Unlock()
		}
	}
}

// judgeSights asks that no read showed a grant that another one, which had been made when
// the read began, can not stand beside.
func (r *run) judgeSights(ops []history.Op) {
	r.sights.mu.Lock()
	defer r.sights.mu.Unlock()
	grants := make(map[string][]*history.Op)
	for i := range ops {
		if op := &ops[i]; op.Granted() {
			grants[op.Key] = append(grants[op.Key], op)
		}
	}
	told := 0
	for i := range r.sights.list {
		s := &r.sights.list[i]
		for j := range s.locks {
			old, later := stale(&s.locks[j], grants[s.locks[j].Name], s.from)
			if later == nil {
				continue
			}
			if told++; told > mostTold {
				return
			}
			r.problem("stale-lock-read", "a read of %q by %s from %s on shows fence %d, and fence %d "+
				"was granted by %s", s.locks[j].Name, s.node, history.Clock(s.from), old,
				later.Lock.Fence, history.Clock(later.Completed))
		}
	}
	r.damage["reads of locks"] += int64(len(r.sights.list))
}

// stale is a holder that a read shows although it had ended when the read began, by its
// fence, and the grant that says so.
func stale(l *client.LockInfo, grants []*history.Op, from int64) (uint64, *history.Op) {
	for i := range l.Holders {
		fence := uint64(l.Holders[i].Fence)
		for _, g := range grants {
			alone := l.Kind == client.LockExclusive || !g.Lock.Shared
			if alone && g.Completed < from && g.Lock.Fence > fence {
				return fence, g
			}
		}
	}
	return 0, nil
}
