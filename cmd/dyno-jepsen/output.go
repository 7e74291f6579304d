// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	prettytable "github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/schollz/progressbar/v3"

	"github.com/dyno-kv/dyno/jepsen/checker"
)

// outputVersion is in every JSON document: it changes when a field changes its meaning.
const outputVersion = 1

// head begins every JSON document.
type head struct {
	Version int `json:"version"`
}

func newHead() head { return head{Version: outputVersion} }

// printJSON writes one document, on one line.
func (a *app) printJSON(document any) error {
	encoder := json.NewEncoder(a.out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// page collects what a command prints; the first error of the stream stays.
type page struct {
	app   *app
	width int // of the terminal; 0: it is none, and lines may be long
	err   error
}

func (a *app) newPage() *page { return &page{app: a, width: columns(a.out)} }

func (p *page) printf(format string, args ...any) {
	if p.err != nil {
		return
	}
	if _, err := fmt.Fprintf(p.app.out, format, args...); err != nil {
		p.err = fmt.Errorf("write output: %w", err)
	}
}

// table prints rows for people. It has no lines, so that other programs can cut it.
func (p *page) table(columns []string, rows [][]any) {
	w := prettytable.NewWriter()
	style := prettytable.StyleDefault
	style.Options = prettytable.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatUpper
	if p.app.colored(p.app.out) {
		style.Color.Header = text.Colors{text.Bold}
	}
	w.SetStyle(style)
	header := make(prettytable.Row, len(columns))
	for i, c := range columns {
		header[i] = c
	}
	w.AppendHeader(header)
	for _, r := range rows {
		w.AppendRow(r)
	}
	for line := range strings.Lines(w.Render() + "\n") {
		p.printf("%s\n", strings.TrimRight(line, " \n"))
	}
}

// verdict is a verdict in its colour.
func (p *page) verdict(v checker.Verdict) string {
	if !p.app.colored(p.app.out) {
		return v.String()
	}
	if v == checker.Valid {
		return text.FgGreen.Sprint(v)
	}
	return text.FgRed.Sprint(v)
}

// firstLine is the first line of a text, not too long.
func firstLine(s string) string {
	const most = 160
	line, _, more := strings.Cut(s, "\n")
	if len(line) > most {
		line, more = strings.ToValidUTF8(line[:most], ""), true
	}
	if more {
		line += " ..."
	}
	return line
}

// size shows a number of bytes.
func size(n int64) string {
	const unit = 1024
	value, prefixes := float64(n)/unit, "KMGT"
	for i := range len(prefixes) {
		if value < unit || i == len(prefixes)-1 {
			return fmt.Sprintf("%.1f %ciB", value, prefixes[i])
		}
		value /= unit
	}
	return ""
}

// bar shows progress at a terminal, and nothing elsewhere.
type bar struct {
	app  *app
	bar  *progressbar.ProgressBar // nil where nobody watches
	what string
}

// newBar begins one of n steps; below 0 nobody knows how many there are.
func (a *app) newBar(what string, n int) *bar {
	b := &bar{app: a, what: what}
	if !a.quiet && terminal(a.errs) {
		b.bar = progressbar.NewOptions(n,
			progressbar.OptionSetWriter(a.errs), progressbar.OptionSetDescription(what),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetPredictTime(n > 0), progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return b
}

func (b *bar) step(what string) {
	if b.bar == nil {
		return
	}
	if what != "" {
		b.tell(what)
	}
	_ = b.bar.Add(1) // it only draws
}

// tell says what is going on, between two steps.
func (b *bar) tell(what string) {
	if b.bar != nil {
		b.bar.Describe(b.what + ": " + firstLine(what))
	}
}

// say tells something while the bar is there.
func (b *bar) say(format string, args ...any) {
	if b.bar != nil {
		_ = b.bar.Clear() // it only draws
	}
	b.app.say(format, args...)
}

func (b *bar) done() {
	if b.bar != nil {
		_ = b.bar.Finish() // it only draws
	}
}
