// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/sim/plan"
)

// Record is what a run left behind, to be judged.
type Record struct {
	History *history.History

	plan     *plan.Plan
	problems []Problem
	hash     string
	fairAll  int
	fairOK   int
	net      memnet.Stats
	fake     time.Duration
	from     int64 // of the chaos
	met      []bool
	bites    map[plan.Kind]Bite
	damage   map[string]int64
	points   map[string]int
}

// end takes what there is to be taken in the bubble.
func (r *run) end() (*Record, error) {
	h := r.record.History()
	hash, err := r.digest.sum(h)
	if err != nil {
		return nil, fmt.Errorf("trial: hash of the history: %w", err)
	}
	if err := r.digest.err(); err != nil {
		r.problem("run", "%v", err)
	}
	for _, v := range r.white.Verdict() {
		r.problem(v.Rule, "%s", v.Text)
	}
	x := &Record{
		History: h, plan: r.plan, problems: r.problems, hash: hash, net: r.cluster.Net.Stats(),
		fake: time.Since(r.began), bites: r.bites, damage: r.damage, points: r.passed(),
		from: r.chaosFrom, met: r.met,
	}
	x.fairAll, x.fairOK, _ = fair(h.Ops, r.plan.Cluster.Majority(), r.chaosFrom, r.chaosEnd, r.suffers)
	r.available(x.fairAll, x.fairOK)
	r.heard(h.Ops)
	r.judgeSights(h.Ops)
	r.countReads(h)
	x.problems = r.problems
	r.count()
	return x, nil
}

const (
	// leastFair is the share in percent of the fair operations of one run that must be ok,
	// if there are someFair of them; leastCalm that of a run in peace, which has fewer excuses.
	leastFair = 80
	leastCalm = 99
	someFair  = 100
)

// available asks that faults which leave a majority leave also most of the service.
func (r *run) available(all, ok int) {
	least := leastFair
	if len(r.plan.Faults) == 0 {
		least = leastCalm
	}
	if all >= someFair && ok*100 < all*least {
		r.problem("availability", "%d of %d operations that need a majority at most, outside of "+
			"total outages, were ok, fewer than %d %%", ok, all, least)
	}
}

// heard asks that the nodes have told of every write that clients know to be done: rules
// on what they tell are green where they tell nothing.
func (r *run) heard(ops []history.Op) {
	done := 0
	for i := range ops {
		op := &ops[i]
		// A delete that finds nothing writes nothing.
		if op.Kind.Writes() && op.Kind != history.Delete && op.Outcome == history.OK {
			done++
		}
	}
	counts := r.white.Counts()
	if told := counts.Acknowledged; told < done {
		r.unsure("white-box", "the nodes told of %d acknowledged writes, clients know of %d", told, done)
	}
	if r.plan.Grouped && counts.Entries == 0 {
		r.unsure("white-box", "no seat told of any entry of the group")
	}
}

// passed is how often each failpoint was passed.
func (r *run) passed() map[string]int {
	out := make(map[string]int)
	for _, h := range r.hosts {
		for _, set := range append(h.spent, h.points) {
			for _, p := range Points() {
				if set != nil {
					out[p.Name] += set.Hits(p.Name)
				}
			}
		}
	}
	return out
}

// count adds what network and disks say about the damage.
func (r *run) count() {
	n := r.cluster.Net.Stats()
	r.damage["packets dropped"] = int64(n.PacketsLost + n.PacketsCut + n.PacketsOverrun)
	r.damage["segments stalled"] = int64(n.Stalls)
	r.damage["bytes held by cuts"] = int64(n.CutBytes)
	r.damage["connections reset"] = int64(n.Resets)
	for _, h := range r.hosts {
		s := h.Disk.Stats()
		r.damage["bytes lost"] += s.LostBytes
		r.damage["disk operations failed"] += int64(s.Reads + s.Writes + s.Syncs)
		r.damage["commits"] += int64(s.Commits)
	}
}

// Judge says what a record shows. It needs no bubble.
func (x *Record) Judge() (*Result, error) {
	res := &Result{
		Plan: x.plan, Problems: x.problems, Hash: x.hash,
		Operations: len(x.History.Ops), Fair: x.fairAll, FairOK: x.fairOK,
		Messages: x.net.Delivered, Bytes: x.net.DeliveredBytes, Fake: x.fake,
		Bites: x.bites, Damage: x.damage, Points: x.points,
		ChaosFrom: time.Duration(x.from), Met: x.met,
	}
	for i := range x.History.Ops {
		if x.History.Ops[i].Outcome == history.OK {
			res.OK++
		}
	}
	report, err := checker.Check(x.History, checking(x.plan))
	if err != nil {
		return nil, fmt.Errorf("trial: %w", err)
	}
	res.Report = report
	for i := range report.Results {
		res.Problems = append(res.Problems, problemsOf(&report.Results[i])...)
	}
	res.Verdict = verdict(res.Problems)
	return res, nil
}

// checking is how the history of a plan is checked. How much was answered is judged
// phase by phase.
func checking(p *plan.Plan) checker.Config {
	cfg := checker.DefaultConfig()
	cfg.Strict, cfg.Final, cfg.Skew = true, true, p.Skew()
	// A request may be held by a cut, or a pause, for as long as the faults last.
	cfg.Linger = time.Duration(p.Chaos) + drained
	cfg.MinAvailable, cfg.MinOps = 0, 1
	cfg.KeepSessions = p.KeepsSessions()
	return cfg
}

func problemsOf(r *checker.Result) []Problem {
	var out []Problem
	for i := range r.Violations {
		v := &r.Violations[i]
		out = append(out, Problem{Rule: v.Rule, Text: v.Key + ": " + v.Text})
	}
	if r.Verdict == checker.Unknown {
		out = append(out, Problem{Rule: r.Checker, Text: r.Why, Unknown: true})
	}
	return out
}

func verdict(problems []Problem) checker.Verdict {
	v := checker.Valid
	for _, p := range problems {
		if !p.Unknown {
			return checker.Invalid
		}
		v = checker.Unknown
	}
	return v
}
