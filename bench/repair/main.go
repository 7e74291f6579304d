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
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "repair:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("usage: repair hints|refill|puts FLAGS, or repair table FILE")
	}
	what, args := args[0], args[1:]
	if what == "table" {
		return tabulate(args, out)
	}
	m := &measure{out: out}
	f := flag.NewFlagSet(what, flag.ContinueOnError)
	f.StringVar(&m.bin, "bin", "", "the dyno program")
	f.StringVar(&m.dir, "dir", "", "an empty directory for the nodes, on the disk to measure")
	f.DurationVar(&m.each, "time", defaultTime, "how long a load lasts")
	f.Float64Var(&m.rate, "rate", defaultRate, "requests a second of the foreground")
	f.Uint64Var(&m.keys, "keys", defaultKeys, "keys of the foreground; refill: all there are")
	hints := f.Uint64("hints", 100_000, "hints: how many are delivered")
	rounds := f.Int("rounds", 5, "hints: how often the node is away")
	label := f.String("label", "now", "puts: the name of the line")
	strict := f.Bool("strict", false, "puts: into a bucket that is not sloppy")
	if err := f.Parse(args); err != nil {
		return err
	}
	if m.bin == "" || m.dir == "" || f.NArg() > 0 {
		return errors.New("-bin and -dir are needed, and no other arguments")
	}
	switch what {
	case "hints":
		if *rounds < 1 || *hints < uint64(*rounds) {
			return errors.New("-rounds must be at least 1, and -hints as many")
		}
		return m.hints(ctx, *hints, *rounds)
	case "refill":
		return m.refill(ctx)
	case "puts":
		return m.puts(ctx, *label, *strict)
	}
	return fmt.Errorf("%q is none of hints, refill, puts, table", what)
}

// figure is one number of a line.
type figure struct {
	value float64
	unit  string
}

// tell prints one line in the format of Go's benchmarks.
func (m *measure) tell(name string, figures ...figure) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Benchmark%s \t1", name)
	for _, f := range figures {
		fmt.Fprintf(&b, "\t%.6g %s", f.value, f.unit)
	}
	_, err := fmt.Fprintln(m.out, b.String())
	return err
}
