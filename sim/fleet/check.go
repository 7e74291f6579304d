// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

// mostOps bounds a history that is checked: a million operations are a gigabyte of memory.
const mostOps = 4 << 20

// CheckFile judges a stored history. One that is cut, or is no history, is unknown.
func CheckFile(path string) (*checker.Report, error) {
	h, err := readHistory(path)
	cut := errors.Is(err, history.ErrCut)
	if err != nil && !cut {
		if errors.Is(err, history.ErrInvalid) || errors.Is(err, history.ErrVersion) ||
			errors.Is(err, history.ErrTooLong) {
			return unknown(err), nil
		}
		return nil, err
	}
	if h == nil {
		return unknown(err), nil
	}
	return CheckHistory(h, err)
}

// CheckHistory judges a history that was read; cut is why its end is missing, nil where it is
// whole.
func CheckHistory(h *history.History, cut error) (*checker.Report, error) {
	cfg, err := ConfigOf(&h.Header)
	if err != nil {
		return unknown(err), nil
	}
	report, err := checker.Check(h, cfg)
	if err != nil {
		return nil, err
	}
	if cut != nil { // what is there may break a rule; that no rule is broken can not be told
		add := unknown(cut)
		report.Results = append(add.Results, report.Results...)
		if report.Verdict == checker.Valid {
			report.Verdict = checker.Unknown
		}
	}
	return report, nil
}

func unknown(why error) *checker.Report {
	r := checker.Result{Checker: "history", Verdict: checker.Unknown, Why: why.Error()}
	return &checker.Report{Verdict: checker.Unknown, Results: []checker.Result{r}}
}

func readHistory(path string) (*history.History, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // it was only read
	return history.ReadAll(in, mostOps)
}

// ConfigOf is how a history wants to be judged, by the labels of its header: "skew" is how
// far clocks may be apart, "strict" whether levels that meet are kept to, "min_available" the
// share of operations outside of outages that must be ok, and "keep_sessions" whether none
// that its client keeps alive may be lost. The simulator judges that share itself, phase by
// phase.
func ConfigOf(h *history.Header) (checker.Config, error) {
	cfg := checker.DefaultConfig()
	var err error
	if h.Mode == "sim" {
		cfg.MinAvailable, cfg.MinOps = 0, 1
	}
	if text, ok := h.Labels["skew"]; ok {
		if cfg.Skew, err = time.ParseDuration(text); err != nil {
			return cfg, fmt.Errorf("label skew: %w", err)
		}
	}
	if text, ok := h.Labels["strict"]; ok {
		if cfg.Strict, err = strconv.ParseBool(text); err != nil {
			return cfg, fmt.Errorf("label strict: %w", err)
		}
	}
	if text, ok := h.Labels["keep_sessions"]; ok {
		if cfg.KeepSessions, err = strconv.ParseBool(text); err != nil {
			return cfg, fmt.Errorf("label keep_sessions: %w", err)
		}
	}
	if text, ok := h.Labels["min_available"]; ok {
		if cfg.MinAvailable, err = strconv.ParseFloat(text, 64); err != nil {
			return cfg, fmt.Errorf("label min_available: %w", err)
		}
	}
	return cfg, cfg.Validate()
}
