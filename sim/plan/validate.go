// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Bounds of a plan.
const (
	maxNodes      = 9
	maxPartitions = 1 << 10
	maxChaos      = 10 * time.Minute
	maxLoads      = 8
	maxSessions   = 64
	maxSteps      = 100_000
	maxFaults     = 1 << 12
	// maxPause bounds what a link, a sync, a pause or a fault takes, maxShift how far a clock
	// is moved, and maxSkew what all shifts come to: more the checkers do not take.
	maxPause = time.Hour
	maxShift = 7 * 24 * time.Hour
	maxSkew  = 365 * 24 * time.Hour
	// maxTimes bounds how often a fault does something.
	maxTimes = 1000
)

// Validate returns all faults of p, joined.
func (p *Plan) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...))
		}
	}
	check(p.Version == Version, "version %d, this is %d", p.Version, Version)
	c := p.Cluster
	check(c.Nodes >= 1 && c.Nodes <= maxNodes, "%d nodes, must be 1 to %d", c.Nodes, maxNodes)
	check(c.Replicas >= 1 && c.Replicas <= c.Nodes, "%d replicas of %d nodes", c.Replicas, c.Nodes)
	check(c.Partitions >= 1 && c.Partitions <= maxPartitions && c.Partitions&(c.Partitions-1) == 0,
		"%d partitions, must be a power of two up to %d", c.Partitions, maxPartitions)
	check(p.Engine == EngineDisk || p.Engine == EngineMemory || p.Engine == EngineTmpfs,
		"engine %q", p.Engine)
	check(p.Chaos >= 0 && time.Duration(p.Chaos) <= maxChaos, "chaos of %s", p.Chaos)
	check(p.Spare >= 0 && p.Spare <= c.Nodes, "spare host %d of %d", p.Spare, c.Nodes)
	check(p.Spare == 0 || c.Replicas >= 3, "a spare host with %d replicas", c.Replicas)
	check(len(p.Loads) <= maxLoads, "%d loads, at most %d", len(p.Loads), maxLoads)
	check(len(p.Faults) <= maxFaults, "%d faults, at most %d", len(p.Faults), maxFaults)
	check(len(p.Core) >= min(c.Needed(), c.Nodes), "a core of %d nodes, %d are needed",
		len(p.Core), c.Needed())
	check(within(p.Link.Delay, maxPause) && within(p.Link.Jitter, maxPause) &&
		p.Link.Loss >= 0 && p.Link.Loss <= 1, "links of %s, %s more, and %g lost",
		p.Link.Delay, p.Link.Jitter, p.Link.Loss)
	check(within(p.Sync, maxPause), "a sync of %s", p.Sync)
	for i, h := range p.Core {
		check(!slices.Contains(p.Core[:i], h), "core host %d is there twice", h)
		check(h >= 1 && h <= c.Nodes, "core host %d of %d", h, c.Nodes)
		check(h != p.Spare, "the spare host %d is in the core", h)
	}
	check(within(p.Knobs.Tick, time.Second) && within(p.Knobs.DeadAfter, maxPause) &&
		within(p.Knobs.SessionTTL, maxPause) && min(p.Knobs.SnapshotEntries, p.Knobs.HashEvery) >= 0,
		"a group with ticks of %s, dead after %s, sessions of %s, %d and %d entries", p.Knobs.Tick,
		p.Knobs.DeadAfter, p.Knobs.SessionTTL, p.Knobs.SnapshotEntries, p.Knobs.HashEvery)
	check(within(p.Knobs.Exchange, maxPause), "an exchange each %s", p.Knobs.Exchange)
	check(within(p.Knobs.Purge, maxPause), "tombstones go after %s", p.Knobs.Purge)
	check(within(p.Knobs.HintAfter, maxPause) && p.Knobs.HintBytes >= 0,
		"hints after %s, up to %d bytes", p.Knobs.HintAfter, p.Knobs.HintBytes)
	for i := range p.Loads {
		l := &p.Loads[i]
		check(p.Grouped || l.Kind != Locks, "load %d: locks without a metadata group", i)
		check(l.Sessions >= 1 && l.Sessions <= maxSessions && l.Steps >= 0 && l.Steps <= maxSteps &&
			within(l.Pause, maxPause),
			"load %d: %d sessions of %d steps, %s apart", i, l.Sessions, l.Steps, l.Pause)
	}
	for i := range p.Faults {
		if err := p.checkFault(&p.Faults[i]); err != nil {
			faults = append(faults, fmt.Errorf("%w: fault %d: %w", ErrInvalid, i, err))
		}
	}
	if len(faults) == 0 { // else the sum may be anything
		check(p.Skew() <= maxSkew, "clocks that are %s apart", p.Skew())
	}
	return errors.Join(faults...)
}

func within(s Span, most time.Duration) bool { return s >= 0 && time.Duration(s) <= most }

func (p *Plan) checkFault(f *Fault) error {
	in, known := lookup(f.Kind)
	switch {
	case !known:
		return fmt.Errorf("no kind is named %q", f.Kind)
	case !within(f.At, maxChaos) || !within(f.For, maxPause):
		return fmt.Errorf("%s at %s for %s", f.Kind, f.At, f.For)
	case f.At > p.Chaos:
		return fmt.Errorf("%s at %s, when the chaos of %s is over", f.Kind, f.At, p.Chaos)
	case abs(f.By) > maxShift:
		return fmt.Errorf("%s by %s", f.Kind, f.By)
	case f.Share < 0 || f.Share > 1:
		return fmt.Errorf("%s with a share of %g", f.Kind, f.Share)
	case f.N < -maxDrift || f.N > maxDrift:
		return fmt.Errorf("%s with n %d", f.Kind, f.N)
	case !timesFit(f):
		return fmt.Errorf("%s with n %d", f.Kind, f.N)
	case (f.Kind == CrashAt || f.Kind == SlowAt || f.Kind == FailAt) && f.Point == "":
		return fmt.Errorf("%s without a failpoint", f.Kind)
	case !in.everywhere && len(f.Hosts) == 0:
		return fmt.Errorf("%s meets nobody", f.Kind)
	case in.Needs&KeepsData != 0 && p.Engine == EngineMemory:
		return fmt.Errorf("%s with an engine in memory", f.Kind)
	case in.Needs&RealGroup != 0 && !p.Grouped:
		return fmt.Errorf("%s without a metadata group", f.Kind)
	case in.Needs&StandIn != 0 && p.Grouped:
		return fmt.Errorf("%s with a metadata group of the nodes' own", f.Kind)
	case loses(f.Kind) && f.N == 1 && !p.refillable():
		return fmt.Errorf("%s of a host that can not be filled again", f.Kind)
	case in.Needs&SpareHost != 0 && (p.Spare == 0 || f.Hosts[0] != p.Spare):
		return fmt.Errorf("%s of a host that is not the spare one", f.Kind)
	}
	for _, h := range f.Hosts {
		if h < 1 || h > p.Cluster.Nodes {
			return fmt.Errorf("%s of host %d of %d", f.Kind, h, p.Cluster.Nodes)
		}
	}
	return nil
}

// timesFit checks the N of faults that do something N times, or each N-th time.
func timesFit(f *Fault) bool {
	switch f.Kind {
	case CrashLoop, ClockStrobe, Flip:
		return f.N >= 1 && f.N <= maxTimes
	case Group:
		return f.N >= 1 && f.N <= 3
	case Wipe, Restore:
		return f.N == 0 || f.N == 1
	case CrashAt, SlowAt, FailAt, DiskRead, DiskWrite, DiskSync, Rate:
		return f.N >= 1
	case DiskFull:
		return f.N >= 0
	default:
		return true
	}
}

// maxDrift bounds a clock's drift, in parts per million, and with it every N.
const maxDrift = 1_000_000
