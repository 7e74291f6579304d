// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// app is what commands share: the process's streams, and the global flags.
type app struct {
	// Immutable.
	out    io.Writer // results
	errs   io.Writer // progress and errors
	getenv func(string) string

	// The global flags, once a command runs.
	json  bool
	quiet bool

	// began says that a command's own code runs: errors before are errors of usage.
	began bool
}

// run runs one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.errs)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitValid
	}
	if !a.began {
		err = usage("%w (see %s --help)", err, cmd.CommandPath())
	}
	if text := describe(err); text != "" {
		a.say("dyno-jepsen: %s", text)
	}
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "dyno-jepsen",
		Short: "Looks for wrong answers of dyno",
		Long: "dyno-jepsen runs clusters of dyno under faults and judges what their clients saw.\n\n" +
			"Start with 'dyno-jepsen sim --seeds 20'; docs/simulator.md has more.\n\n" +
			"Exit codes:\n" + exitText,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          needsCommand,

		SuggestionsMinimumDistance: 2,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "print one document of JSON")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "show no progress")
	root.AddCommand(
		a.simCommand(), a.replayCommand(), a.shrinkCommand(), a.checkCommand(), a.mutateCommand(),
		a.runCommand(), a.matrixCommand(), a.locksCommand(), a.repairCommand(), a.reportCommand(),
		a.modelCommand(),
	)
	return root
}

// action is what a command does, its flags read.
type action func(ctx context.Context, args []string) error

// does makes a command's own function: whatever fails from there on is no error of usage,
// unless it says so.
func (a *app) does(do action) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.began = true
		return do(cmd.Context(), args)
	}
}

// needsCommand is what the root does.
func needsCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(text)
}

// takes checks how many arguments a command is given; its Use names them.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		_, what, _ := strings.Cut(cmd.Use, " ")
		if what == "" {
			what = "no arguments"
		}
		return fmt.Errorf("it takes %s; %d given", what, len(args))
	}
}

// say writes a line for people to standard error.
func (a *app) say(format string, args ...any) {
	// Where standard error is gone there is nobody left to tell.
	_, _ = fmt.Fprintf(a.errs, format+"\n", args...)
}

// terminal reports whether a stream ends at a person.
func terminal(stream any) bool { return winsize(stream) != nil }

// columns is how wide a terminal is, 0 where the stream is none or does not say.
func columns(stream any) int {
	if size := winsize(stream); size != nil {
		return int(size.Col)
	}
	return 0
}

func winsize(stream any) *unix.Winsize {
	file, ok := stream.(*os.File)
	if !ok {
		return nil
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return nil
	}
	return size
}

// colored reports whether a stream wants colours.
func (a *app) colored(stream any) bool {
	return a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb" && terminal(stream)
}
