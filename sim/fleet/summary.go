// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// What a sweep must show.
const (
	// leastFair is the share of fair operations that must be ok, in sweeps of at least
	// seedsFair seeds: one seed may well be an hour of bad luck.
	leastFair = 0.8
	seedsFair = 10
	// A kind must bite in mostBites of the seeds in which it was drawn, or in one of biteOf
	// of them, in sweeps of at least seedsBites seeds.
	mostBites  = 10
	biteOf     = 4
	seedsBites = 40
	// mostRed bounds the red seeds that are listed; all are counted.
	mostRed = 1000
)

// Summary is what a sweep showed.
type Summary struct {
	Verdict checker.Verdict `json:"verdict"`
	// Reasons say what the sweep as a whole did not show.
	Reasons []string `json:"reasons,omitempty"`

	From    uint64 `json:"from"`
	Seeds   int    `json:"seeds"`
	Valid   int    `json:"valid"`
	Invalid int    `json:"invalid"`
	Unknown int    `json:"unknown"`
	// Stopped says that a red seed ended the sweep.
	Stopped bool `json:"stopped,omitempty"`
	// Cut says that an interrupt, or an error of the rig, ended it.
	Cut bool      `json:"cut,omitempty"`
	Red []RedSeed `json:"red,omitempty"`

	// Replayable says that each run was of the edited runtime, Edits which one.
	Replayable bool   `json:"replayable"`
	Edits      string `json:"edits,omitempty"`
	Mutant     string `json:"mutant,omitempty"`

	Operations int     `json:"operations"`
	OK         int     `json:"ok"`
	OKShare    float64 `json:"ok_share"`
	Fair       int     `json:"fair"`
	FairOK     int     `json:"fair_ok"`
	FairShare  float64 `json:"fair_ok_share"`
	Messages   uint64  `json:"messages"`
	Bytes      uint64  `json:"bytes"`

	FakeHours    float64 `json:"fake_hours"`
	WallSeconds  float64 `json:"wall_seconds"`
	CPUSeconds   float64 `json:"cpu_seconds"`
	SeedsPerHour float64 `json:"seeds_per_hour"`
	// Cores is how many seeds ran at once, at most one for each processor.
	Cores            int     `json:"cores"`
	SeedsPerCoreHour float64 `json:"seeds_per_core_hour"`
	Peak             int64   `json:"peak_bytes"`
	PeakSeed         uint64  `json:"peak_seed"`

	Kinds  []KindCount      `json:"kinds"`
	Damage map[string]int64 `json:"damage"`
	Points map[string]int   `json:"points"`
	Missed []string         `json:"points_missed,omitempty"`

	needed []string
	each   int // processes for one seed
	fake   time.Duration
	cpu    time.Duration
}

// RedSeed is a seed that is not valid.
type RedSeed struct {
	Seed    uint64          `json:"seed"`
	Verdict checker.Verdict `json:"verdict"`
	Rules   []string        `json:"rules"`
	Text    string          `json:"text"`
}

// KindCount counts seeds: those in which a kind of fault was drawn, those in which it met
// something, and how many of these there had to be.
type KindCount struct {
	Kind   plan.Kind `json:"kind"`
	Drawn  int       `json:"drawn"`
	Bit    int       `json:"bit"`
	Needed int       `json:"needed"`
}

func newSummary(s *Sweep) *Summary {
	sum := &Summary{
		From: s.From, Replayable: true, Mutant: s.Options.Mutant, needed: s.Points,
		Cores:  min(s.parallel(), runtime.NumCPU()),
		Damage: make(map[string]int64), Points: make(map[string]int), each: 1,
	}
	if s.Twice {
		sum.each, sum.Cores = 2, min(2*s.parallel(), runtime.NumCPU())
	}
	for _, in := range plan.Kinds() {
		sum.Kinds = append(sum.Kinds, KindCount{Kind: in.Kind})
	}
	return sum
}

func (s *Summary) add(r *trial.Result) {
	s.Seeds++
	switch r.Verdict {
	case checker.Valid:
		s.Valid++
	case checker.Invalid:
		s.Invalid++
	default:
		s.Unknown++
	}
	if Red(r) && len(s.Red) < mostRed {
		s.Red = append(s.Red, redOf(r))
	}
	s.Replayable = s.Replayable && r.Replayable
	if r.Edits != "" {
		s.Edits = r.Edits
	}
	s.Operations += r.Operations
	s.OK += r.OK
	s.Fair += r.Fair
	s.FairOK += r.FairOK
	s.Messages += r.Messages
	s.Bytes += r.Bytes
	s.fake += r.Fake
	s.cpu += r.CPU
	if r.Peak > s.Peak {
		s.Peak, s.PeakSeed = r.Peak, r.Plan.Seed
	}
	s.count(r)
}

func redOf(r *trial.Result) RedSeed {
	red := RedSeed{Seed: r.Plan.Seed, Verdict: r.Verdict, Rules: Rules(r)}
	if len(r.Problems) > 0 {
		red.Text = r.Problems[0].Text
	}
	return red
}

func (s *Summary) count(r *trial.Result) {
	for i := range s.Kinds {
		k := &s.Kinds[i]
		if r.Plan.Has(k.Kind) {
			k.Drawn++
		}
		if r.Bites[k.Kind].Bit > 0 {
			k.Bit++
		}
	}
	for what, n := range r.Damage {
		s.Damage[what] += n
	}
	for point, n := range r.Points {
		s.Points[point] += n
	}
}

func (s *Summary) finish(wall time.Duration) {
	s.OKShare, s.FairShare = share(s.OK, s.Operations), share(s.FairOK, s.Fair)
	s.FakeHours, s.CPUSeconds = s.fake.Hours(), s.cpu.Seconds()
	s.WallSeconds = wall.Seconds()
	s.Cores = max(1, min(s.Cores, s.each*s.Seeds))
	if s.WallSeconds > 0 {
		s.SeedsPerHour = float64(s.Seeds) / wall.Hours()
		s.SeedsPerCoreHour = s.SeedsPerHour / float64(s.Cores)
	}
	s.Replayable = s.Replayable && s.Seeds > 0
	s.judge()
	s.Verdict = checker.Valid
	switch {
	case s.Invalid > 0:
		s.Verdict = checker.Invalid
	case s.Unknown > 0 || len(s.Reasons) > 0:
		s.Verdict = checker.Unknown
	}
}

// judge says what the sweep as a whole did not show.
func (s *Summary) judge() {
	unsure := func(format string, args ...any) {
		s.Reasons = append(s.Reasons, fmt.Sprintf(format, args...))
	}
	if s.Cut {
		unsure("it was cut short")
	}
	if s.Seeds == 0 {
		unsure("no seed was run")
		return
	}
	switch {
	case s.Fair == 0:
		unsure("no operation was one that had to succeed")
	case s.Seeds >= seedsFair && s.FairShare < leastFair:
		unsure("%d of %d operations succeeded that had to, fewer than %g %%",
			s.FairOK, s.Fair, 100*leastFair)
	}
	for i := range s.Kinds {
		k := &s.Kinds[i]
		k.Needed = min(mostBites, k.Drawn/biteOf)
		if s.Seeds >= seedsBites && k.Bit < k.Needed {
			unsure("%s was drawn in %d seeds and met something in %d, %d were needed",
				k.Kind, k.Drawn, k.Bit, k.Needed)
		}
	}
	for _, point := range s.needed {
		if s.Points[point] == 0 {
			s.Missed = append(s.Missed, point)
		}
	}
	if len(s.Missed) > 0 {
		unsure("no seed passed the failpoints %q", s.Missed)
	}
}

// DamageNames are the names in Damage, sorted.
func (s *Summary) DamageNames() []string { return slices.Sorted(maps.Keys(s.Damage)) }

func share(part, all int) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}
