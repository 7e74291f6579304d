// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
)

// line is what one measurement is of, and one of its units.
type line struct{ name, unit string }

// results are all that files of Go's benchmark format tell, in the order of the first.
type results struct {
	lines  []line
	values map[line][]float64
}

// processors is what Go adds to the names of benchmarks.
var processors = regexp.MustCompile(`-\d+$`)

// add takes a file in.
func (r *results) add(in io.Reader) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), "")
		for i := 2; i+1 < len(fields); i += 2 { // fields[1] is how often it ran
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return fmt.Errorf("%q: %w", lines.Text(), err)
			}
			l := line{name, fields[i+1]}
			if _, known := r.values[l]; !known {
				r.lines = append(r.lines, l)
			}
			r.values[l] = append(r.values[l], value)
		}
	}
	return lines.Err()
}

// render makes a table: the median of each line, the least and the most of it, how often it
// was measured; and beside a line of a pair the ratio of the medians.
func (r *results) render() string {
	t := table.NewWriter()
	t.AppendHeader(table.Row{"", "unit", "median", "from", "to", "runs", "ratio"})
	for _, l := range r.lines {
		all := slices.Sorted(slices.Values(r.values[l]))
		base, ratio := baseOf(l), ""
		if other := r.values[base]; base != l && len(other) > 0 && median(other) > 0 {
			ratio = fmt.Sprintf("%.3f of %s", median(all)/median(other), base.name)
		}
		t.AppendRow(table.Row{
			l.name, l.unit, number(median(all)), number(all[0]), number(all[len(all)-1]), len(all),
			ratio,
		})
	}
	return t.RenderMarkdown()
}

// baseOf is the line that another one is compared with; itself where there is none.
func baseOf(l line) line {
	for _, pair := range [][2]string{
		{"trees=true", "trees=false"}, {"Puts/now", "Puts/before"}, {"Puts/strict", "Puts/now"},
	} {
		if strings.HasSuffix(l.name, pair[0]) {
			l.name = strings.TrimSuffix(l.name, pair[0]) + pair[1]
			break
		}
	}
	return l
}

// median is the middle of some; of an even number the mean of the two.
func median(values []float64) float64 {
	all := slices.Sorted(slices.Values(values))
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

func number(v float64) string {
	if v >= 1e6 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// tabulate prints the table of files.
func tabulate(files []string, out io.Writer) error {
	if len(files) == 0 {
		return errors.New("no file is given, usage: repair table FILE")
	}
	r := &results{values: make(map[line][]float64)}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(r.add(file), file.Close()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	_, err := io.WriteString(out, r.render()+"\n")
	return err
}
