// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func newTestApp(in string) (a *app, out, errs *bytes.Buffer) {
	out, errs = new(bytes.Buffer), new(bytes.Buffer)
	return &app{
		in: strings.NewReader(in), out: out, errs: errs, getenv: func(string) string { return "" },
	}, out, errs
}

func eachCommand(c *cobra.Command, do func(*cobra.Command)) {
	for _, child := range c.Commands() {
		do(child)
		eachCommand(child, do)
	}
}

func TestEveryCommandSaysWhatItDoesAndHow(t *testing.T) {
	a, _, _ := newTestApp("")
	eachCommand(a.root(), func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s has no short text", c.CommandPath())
		}
		if !c.HasSubCommands() && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		if c.HasSubCommands() && c.Args == nil {
			t.Errorf("%s takes any arguments", c.CommandPath())
		}
	})
}

// TestExamplesAreCommandLines parses the first command of each example line, so that no
// example names a flag that is gone.
func TestExamplesAreCommandLines(t *testing.T) {
	a, _, _ := newTestApp("")
	eachCommand(a.root(), func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			_, rest, found := strings.Cut(line, "dyno ")
			if !found {
				continue
			}
			for _, end := range []string{" | ", " > ", ")", ` "$(`} {
				rest, _, _ = strings.Cut(rest, end)
			}
			words := strings.Fields(rest)
			if n := len(words); strings.HasPrefix(words[n-1], "--") && strings.Contains(line, "$(") {
				words = words[:n-1] // its value was cut off
			}
			fresh, _, _ := newTestApp("")
			found1, args, err := fresh.root().Find(words)
			if err == nil {
				err = found1.ParseFlags(args)
			}
			if err == nil && found1.Args != nil {
				err = found1.Args(found1, found1.Flags().Args())
			}
			if err != nil || found1.HasSubCommands() {
				t.Errorf("example of %s: %q: %v", c.CommandPath(), strings.TrimSpace(line), err)
			}
		}
	})
}

func TestInterruptedCommandEndsWith130(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a, _, errs := newTestApp("")
	if code := a.run(ctx, []string{"kv", "get", "k", "-e", "127.0.0.1:1"}); code != 130 {
		t.Errorf("exit code %d, want 130: %s", code, errs)
	}
	if got := errs.String(); got != "dyno: interrupted\n" {
		t.Errorf("told %q", got)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestOutputThatCanNotBeWrittenIsAnError checks I1.
func TestOutputThatCanNotBeWrittenIsAnError(t *testing.T) {
	for _, args := range [][]string{
		{"version"}, {"version", "-o", "json"}, {"config", "print"}, {"man"}, {"completion", "zsh"},
	} {
		a, _, errs := newTestApp("")
		a.out = brokenPipe{}
		if code := a.run(t.Context(), args); code != 1 {
			t.Errorf("%v: exit code %d, want 1: %s", args, code, errs)
		}
	}
}
