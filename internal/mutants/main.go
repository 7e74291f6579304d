// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("root", ".", "folder of the module")
	parallel := flags.Int("parallel", 2, "mutants at a time")
	timeout := flags.Duration("timeout", time.Minute, "of the tests of one mutant")
	least := flags.Int("min", 20, "mutants that each package must have")
	short := flags.Bool("short", false, "run the tests with -short")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if flags.NArg() == 0 || *parallel < 1 || *timeout <= 0 {
		fmt.Fprintln(stderr, "usage: mutants [flags] ./PACKAGE...")
		flags.PrintDefaults()
		return exitUsage
	}
	absolute, err := filepath.Abs(*root)
	if err != nil {
		fmt.Fprintln(stderr, "mutants:", err)
		return exitFailed
	}
	r := runner{
		root: absolute, timeout: *timeout, parallel: *parallel, short: *short, progress: stderr,
	}
	if err := r.check(ctx, flags.Args(), *least, stdout); err != nil {
		fmt.Fprintln(stderr, "mutants:", err)
		return exitFailed
	}
	return 0
}

// check runs the lists of the packages, prints the table, and joins what is wrong.
func (r runner) check(ctx context.Context, pkgs []string, least int, stdout io.Writer) error {
	var mutants []mutant
	var faults []error
	for _, pkg := range pkgs {
		pkg = path.Clean(pkg)
		list, err := readList(r.root, pkg)
		if err == nil && len(list) < least {
			faults = append(faults, fmt.Errorf("%s has %d mutants; %d are asked for", pkg, len(list), least))
		}
		if err == nil {
			fmt.Fprintf(r.progress, "%s: %d mutants; first the tests as they are\n", pkg, len(list))
			err = r.baseline(ctx, pkg)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		mutants = append(mutants, list...)
	}
	results := r.runAll(ctx, mutants)
	bad := report(stdout, results)
	if bad > 0 {
		faults = append(faults, fmt.Errorf("%d of %d mutants were not killed", bad, len(results)))
	}
	return errors.Join(faults...)
}

// report prints the table and returns how many mutants were not killed.
func report(w io.Writer, results []result) (bad int) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PACKAGE\tVERDICT\tSECONDS\tMUTANT")
	for _, res := range results {
		fmt.Fprintf(table, "%s\t%s\t%.1f\t%s\n",
			res.mutant.pkg, res.verdict, res.took.Seconds(), res.mutant.name)
		if !res.verdict.good() {
			bad++
		}
	}
	_ = table.Flush() // stdout is gone: nobody reads it
	for _, res := range results {
		if !res.verdict.good() {
			fmt.Fprintf(w, "\n%s: %s\n  %s\n  - %s\n  + %s\n%s", res.verdict, res.mutant.name,
				res.mutant.file, res.mutant.old, res.mutant.new, indent(res.detail))
		}
	}
	fmt.Fprintf(w, "\n%d mutants, %d killed, %d not\n", len(results), len(results)-bad, bad)
	return bad
}

// indent sets the text off; an empty one stays empty.
func indent(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
	}
	return out.String()
}
