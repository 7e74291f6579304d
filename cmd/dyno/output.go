// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	prettytable "github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
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

// printf writes data.
func (a *app) printf(format string, args ...any) error {
	if _, err := fmt.Fprintf(a.out, format, args...); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// table collects rows for people. It has no lines, so that other programs can cut it.
type table struct {
	app     *app
	writer  prettytable.Writer
	columns int
}

func (a *app) newTable(columns ...string) *table {
	t := &table{app: a, writer: prettytable.NewWriter(), columns: len(columns)}
	style := prettytable.StyleDefault
	style.Options = prettytable.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatUpper
	if a.colored(a.out) {
		style.Color.Header = text.Colors{text.Bold}
	}
	t.writer.SetStyle(style)
	header := make(prettytable.Row, len(columns))
	for i, c := range columns {
		header[i] = c
	}
	t.writer.AppendHeader(header)
	return t
}

// row adds a line; numbers stand to the right.
func (t *table) row(cells ...any) { t.writer.AppendRow(cells) }

func (t *table) print() error {
	for line := range strings.Lines(t.writer.Render() + "\n") {
		if err := t.app.printf("%s\n", strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// paint colours text where standard output ends at a person who wants that.
func (a *app) paint(good bool, s string) string {
	if !a.colored(a.out) {
		return s
	}
	if good {
		return text.FgGreen.Sprint(s)
	}
	return text.FgRed.Sprint(s)
}

// yes shows a truth.
func (a *app) yes(b bool) string {
	if b {
		return a.paint(true, "yes")
	}
	return a.paint(false, "no")
}

// dash shows what is empty.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// shown is a key for a line of text: as it is where a terminal can show it, else quoted.
func shown(key []byte) string {
	s := string(key)
	if !utf8.ValidString(s) || s == "" || strings.HasPrefix(s, `"`) {
		return strconv.Quote(s)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// preview is the beginning of a value, on one line.
func preview(value []byte) string {
	const most = 48
	if len(value) <= most {
		return strconv.Quote(string(value))
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(value[cut]) {
		cut--
	}
	return strconv.Quote(string(value[:cut])) + "..."
}

// size shows a number of bytes.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefixes := float64(n)/unit, "KMGTP"
	for i := range len(prefixes) {
		if value < unit || i == len(prefixes)-1 {
			return fmt.Sprintf("%.1f %ciB", value, prefixes[i])
		}
		value /= unit
	}
	return ""
}

// moment shows a time; "-" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
