// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// housekeeping is how often old entries of the view are looked for. Nothing depends
// on it being prompt.
const housekeeping = 10 * time.Second

// keepView turns what the callbacks recorded into views, and tells the watchers.
func (g *Gossip) keepView(ctx context.Context) {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	reported := make(map[string]time.Time) // conflicts by name, bounded as they are
	for {
		g.refresh(reported)
		select {
		case <-ctx.Done():
			return
		case <-g.roster.changed:
		case <-tick.C:
			g.roster.purge(time.Now())
		}
	}
}

// refresh swaps the view and logs what changed.
func (g *Gossip) refresh(reported map[string]time.Time) {
	now := time.Now()
	next := g.roster.view(now)
	old := g.view.Swap(&next)
	g.logChanges(old, &next)
	g.logConflicts(&next, reported, now)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.watchers {
		poke(c)
	}
}

func (g *Gossip) logChanges(old, next *View) {
	before := make(map[string]Status, len(old.Members))
	for _, m := range old.Members {
		before[m.Name] = m.Status
	}
	for _, m := range next.Members {
		if m.Status == before[m.Name] || m.Status == StatusUnknown {
			continue
		}
		g.log.Info("member changed", zap.String("peer-name", m.Name),
			zap.Uint16("peer-id", uint16(m.Meta.NodeID)), zap.String("peer-addr", m.Addr),
			zap.Stringer("status", m.Status))
	}
}

// logConflicts reports each cloned identity once per interval. A conflict that has
// lasted no longer than a vanished node stays listed may be a restart at another
// address; after that a person must look.
func (g *Gossip) logConflicts(v *View, reported map[string]time.Time, now time.Time) {
	patience := g.cfg.DetectionBound(len(v.Members))
	current := make(map[string]struct{}, len(v.Conflicts))
	for _, c := range v.Conflicts {
		current[c.Name] = struct{}{}
		certain := c.Last.Sub(c.First) > patience
		key := c.Name
		if certain {
			key += " certain" // no name has a space: the error does not wait for the warning
			current[key] = struct{}{}
		}
		if last, ok := reported[key]; ok && now.Sub(last) < g.cfg.ConflictInterval {
			continue
		}
		reported[key] = now
		fields := []zap.Field{
			zap.String("peer-name", c.Name), zap.String("peer-addr", c.Addr),
			zap.String("other-addr", c.OtherAddr), zap.Uint64("reports", c.Reports),
		}
		if certain {
			g.log.Error("two processes claim one identity: stop one of them", fields...)
		} else {
			g.log.Warn("a member's name is claimed from another address", fields...)
		}
	}
	for key := range reported {
		if _, ok := current[key]; !ok {
			delete(reported, key)
		}
	}
}

// repeatAfter is when a change is told once more, on average: when the first telling has
// left every queue, and long before the next full exchange.
const repeatAfter = 2 * time.Second

// publish hands changes of this node's meta to memberlist: ring version and state at
// once, load with the ticker. What changes while one update goes out is covered by
// the next. Ring version and state are told twice: memberlist may lose what several
// members tell at one moment (TRAPS N10), and jitter keeps the second times apart.
func (g *Gossip) publish(ctx context.Context) {
	tick := time.NewTicker(g.cfg.LoadInterval)
	defer tick.Stop()
	repeat := time.NewTimer(repeatAfter)
	repeat.Stop()
	again := false
	for {
		stale, weighty := g.local.stale()
		if stale || again {
			if err := g.list.UpdateNode(updateTimeout); err != nil {
				g.log.Debug("meta not yet sent", zap.Error(err))
			}
		}
		if weighty {
			repeat.Reset(jitter(repeatAfter, g.repeatRng))
		}
		again = false
		select {
		case <-ctx.Done():
			return
		case <-g.publishNow:
		case <-repeat.C:
			again = true
		case <-tick.C:
		}
	}
}
