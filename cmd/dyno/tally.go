// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/dyno-kv/dyno/client"
)

const (
	// maxFailures bounds the failures that are kept for the report; all are counted.
	maxFailures = 1000
	// shownFailures is how many of them people are shown.
	shownFailures = 20
)

// copyOutput is what `dyno kv import|export -o json` prints.
type copyOutput struct {
	head
	Copied  int     `json:"copied"`
	Skipped int     `json:"skipped"` // were there already, with the same content
	Failed  int     `json:"failed"`
	Bytes   int64   `json:"bytes"` // of what was copied
	Seconds float64 `json:"seconds"`
	// Complete is false where keys may have been missed.
	Complete bool `json:"complete"`
	// Failures are at most 1,000.
	Failures []copyFailure `json:"failures"`
}

type copyFailure struct {
	Where string `json:"where"`
	Error string `json:"error"`
	// Outcome is "unknown" where a write may have been stored all the same.
	Outcome string `json:"outcome"`
}

// tally counts what became of many keys. It may be used by many goroutines.
type tally struct {
	bar   *progressbar.ProgressBar // nil where nobody watches
	began time.Time

	mu    sync.Mutex // guards what follows
	out   copyOutput
	codes map[int]bool // exit codes of the failures
	// inRow counts failures without a success in between.
	inRow int
}

// newTally begins to count. total is the number of bytes that will come; below 0 it is
// not known.
func (a *app) newTally(what string, total int64) *tally {
	t := &tally{began: time.Now(), codes: make(map[int]bool)}
	t.out = copyOutput{head: newHead(), Complete: true, Failures: []copyFailure{}}
	t.bar = a.newBar(what, total)
	return t
}

// newBar shows how many bytes have come; nil where nobody watches. total is as in newTally.
func (a *app) newBar(what string, total int64) *progressbar.ProgressBar {
	if !terminal(a.errs) {
		return nil
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(a.errs), progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
}

// seen moves the bar: that many bytes of the source have been dealt with.
func (t *tally) seen(bytes int64) {
	if t.bar != nil {
		_ = t.bar.Add64(bytes) // it fails beyond its end, where a source has grown meanwhile
	}
}

func (t *tally) copied(bytes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out.Copied++
	t.out.Bytes += int64(bytes)
	t.inRow = 0
}

func (t *tally) skipped() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out.Skipped++
	t.inRow = 0
}

// failed counts a failure, and returns how many there were in a row.
func (t *tally) failed(where string, err error) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out.Failed++
	t.inRow++
	t.codes[exitCode(err)] = true
	if len(t.out.Failures) < maxFailures {
		outcome := "none"
		if client.OutcomeOf(err) == client.OutcomeUnknown {
			outcome = "unknown"
		}
		t.out.Failures = append(t.out.Failures, copyFailure{
			Where: where, Error: describe(err), Outcome: outcome,
		})
	}
	return t.inRow
}

// report tells what became of all, and returns the error that ends the command: cause,
// or one that stands for the failures, or nil.
func (a *app) report(t *tally, verb string, cause error) error {
	if t.bar != nil {
		_ = t.bar.Finish() // only draws
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	took := time.Since(t.began)
	t.out.Seconds = took.Seconds()
	for i, f := range t.out.Failures {
		if i == shownFailures {
			a.say("dyno: ... and %d more", t.out.Failed-shownFailures)
			break
		}
		a.say("dyno: failed: %s: %s", f.Where, f.Error)
	}
	parts := []string{fmt.Sprintf("%s %d keys (%s) in %.1f s", verb, t.out.Copied,
		size(t.out.Bytes), took.Seconds())}
	if t.out.Skipped > 0 {
		parts = append(parts, fmt.Sprintf("%d were there already", t.out.Skipped))
	}
	if t.out.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", t.out.Failed))
	}
	a.say("%s", strings.Join(parts, ", "))
	if a.form == formJSON {
		cause = errors.Join(cause, a.printJSON(t.out))
	}
	switch {
	case cause != nil:
		return cause
	case len(t.codes) == 1:
		for code := range t.codes {
			return silently(code)
		}
	case t.out.Failed > 0:
		return silently(exitError)
	}
	return nil
}
