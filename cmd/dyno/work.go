// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/client"
)

// workOutput is what stays behind at a node.
type workOutput struct {
	Hints   uint64 `json:"hints"`
	Markers uint64 `json:"markers"`
	Bytes   uint64 `json:"bytes"`
	// OldestSeconds is the age of the oldest hint; 0: there is none.
	OldestSeconds float64 `json:"oldest_seconds"`
	DamagedHints  uint64  `json:"damaged_hints"`
	// Counted says that the numbers hold what earlier lives of the node have left.
	Counted       bool    `json:"counted"`
	Pairs         uint64  `json:"pairs"`
	Settled       uint64  `json:"settled"`
	PausedSeconds float64 `json:"paused_seconds"`
	TreesKnown    uint64  `json:"trees_known"`
	TreesOwned    uint64  `json:"trees_owned"`
	Unreadable    uint64  `json:"unreadable_records"`
	PurgeEpoch    uint64  `json:"purge_epoch"`
	PurgeOpen     uint64  `json:"purge_open_partitions"`
	PurgeMissed   uint64  `json:"purge_missed_partitions"`
	Full          bool    `json:"full"`
	// Refill is how far a store that was lost is filled.
	Refill *workRefillOutput `json:"refill,omitempty"`
}

type workRefillOutput struct {
	Phase   string   `json:"phase"`
	Pairs   uint64   `json:"pairs"`
	Copied  uint64   `json:"copied"`
	Missing []string `json:"missing"`
	Reason  string   `json:"reason,omitempty"`
}

func newWorkOutput(w *client.WorkStatus) *workOutput {
	if w == nil {
		return nil
	}
	out := &workOutput{
		Hints: w.Hints, Markers: w.Markers, Bytes: w.Bytes, DamagedHints: w.DamagedHints,
		OldestSeconds: float64(w.OldestMS) / 1000, Counted: w.Counted, Pairs: w.Pairs,
		Settled: w.Settled, PausedSeconds: float64(w.PausedMS) / 1000, TreesKnown: w.Trees.Known,
		TreesOwned: w.Trees.Owned, Unreadable: w.Unreadable, PurgeEpoch: uint64(w.Purge.Epoch),
		PurgeOpen: w.Purge.Open, PurgeMissed: w.Purge.Missed, Full: w.Full,
	}
	if r := w.Refill; r != nil {
		out.Refill = &workRefillOutput{
			Phase: string(r.Phase), Pairs: r.Pairs, Copied: r.Copied,
			Missing: append([]string{}, r.Missing...), Reason: r.Reason,
		}
	}
	return out
}

// behind lists what stays behind at a node, for people; nothing where it is done.
func (w *workOutput) behind() (list []string) {
	add := func(n uint64, text string) {
		if n > 0 {
			list = append(list, fmt.Sprintf("%d %s", n, text))
		}
	}
	if r := w.Refill; r != nil {
		list = append(list, fmt.Sprintf("refill: %s, %d of %d pairs", r.Phase, r.Copied, r.Pairs))
	}
	add(w.Hints, "hints")
	add(w.Markers, "markers")
	if !w.Counted {
		list = append(list, "hints not counted yet")
	}
	if w.PausedSeconds > 0 {
		paused := time.Duration(w.PausedSeconds) * time.Second
		list = append(list, fmt.Sprintf("repair paused for %v", paused))
	}
	add(w.Pairs-min(w.Pairs, w.Settled), "pairs to compare")
	add(w.TreesOwned-min(w.TreesOwned, w.TreesKnown), "trees to build")
	add(w.Unreadable, "unreadable records")
	add(w.PurgeOpen, "partitions in a purge round")
	return append(list, w.faults()...)
}

// faults lists what does not heal by itself.
func (w *workOutput) faults() (list []string) {
	if w.DamagedHints > 0 {
		list = append(list, fmt.Sprintf("%d hints that can not be read", w.DamagedHints))
	}
	if w.PurgeMissed > 0 {
		list = append(list, fmt.Sprintf("%d partitions not ready: the store missed a purge round",
			w.PurgeMissed))
	}
	if w.Full {
		list = append(list, "writes refused: the disk is nearly full")
	}
	return list
}

// faults lists why a member is not well, for people.
func (m *memberOutput) faults() (list []string) {
	why := ""
	if m.Reason != "" {
		why = ": " + m.Reason
	}
	switch {
	case m.State != string(client.StateUp):
		list = append(list, m.State+why)
	case !m.Ready:
		list = append(list, "not ready"+why)
	case !m.Confirmed:
		list = append(list, "not confirmed"+why)
	case m.Work == nil:
		list = append(list, "does not say what stays behind"+why)
	}
	if m.Work != nil {
		list = append(list, m.Work.faults()...)
	}
	return list
}

// judge says whether the cluster is healthy and whether all of it has caught up.
func (s *statusOutput) judge() {
	s.CaughtUp, s.Reasons = true, []string{}
	for i := range s.Members {
		m := &s.Members[i]
		for _, fault := range m.faults() {
			s.Reasons = append(s.Reasons, m.Node+": "+fault)
		}
		s.CaughtUp = s.CaughtUp && m.Work != nil && len(m.Work.behind()) == 0
	}
	s.Healthy = len(s.Reasons) == 0
	s.CaughtUp = s.CaughtUp && s.Healthy
}

// printWork prints what stays behind, and the verdict.
func (a *app) printWork(s *statusOutput) error {
	if err := a.printf("\n"); err != nil {
		return err
	}
	t := a.newTable("node", "hints", "markers", "oldest", "settled", "trees", "purged to", "behind")
	for i := range s.Members {
		w := s.Members[i].Work
		if w == nil {
			t.row(s.Members[i].Node, "-", "-", "-", "-", "-", "-", "not known")
			continue
		}
		t.row(s.Members[i].Node, w.Hints, w.Markers, age(w.OldestSeconds),
			fmt.Sprintf("%d/%d", w.Settled, w.Pairs), fmt.Sprintf("%d/%d", w.TreesKnown, w.TreesOwned),
			w.PurgeEpoch, dash(strings.Join(w.behind(), ", ")))
	}
	if err := t.print(); err != nil {
		return err
	}
	verdict := "healthy, and nothing stays behind"
	switch {
	case !s.Healthy:
		verdict = "not healthy:\n  " + strings.Join(s.Reasons, "\n  ")
	case !s.CaughtUp:
		verdict = "healthy; what stays behind is being worked on"
	}
	return a.printf("\n%s\n", verdict)
}
