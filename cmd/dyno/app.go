// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// Forms of output.
const (
	formTable = "table"
	formJSON  = "json"
)

// defaultEndpoint is where the first node of `dyno dev` listens.
const defaultEndpoint = "127.0.0.1:4610"

// app is what commands share: the process's streams, and the global flags.
type app struct {
	// Immutable.
	in     io.Reader
	out    io.Writer // data
	errs   io.Writer // progress and errors
	getenv func(string) string

	// The global flags, once a command runs.
	endpoints []string
	form      string
	timeout   time.Duration

	// began says that a command's own code runs: errors before are errors of usage.
	began bool
}

// run runs one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errs)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if !a.began {
		err = usage("%w (see %s --help)", err, cmd.CommandPath())
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errInterrupted
	}
	if text := describe(err); text != "" {
		a.say("dyno: %s", text)
	}
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "dyno",
		Short: "A leaderless, replicated key-value store",
		Long: "dyno runs a cluster that stores keys on several nodes, and talks to one.\n\n" +
			"Start one with 'dyno dev', then try 'dyno kv put greeting hello'.\n\n" +
			"Exit codes:\n" + exitText,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          a.needsCommand,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	endpoints := []string{defaultEndpoint}
	if env := a.getenv("DYNO_ENDPOINTS"); env != "" {
		endpoints = strings.Split(strings.ReplaceAll(env, " ", ""), ",")
	}
	flags := root.PersistentFlags()
	flags.StringSliceVarP(&a.endpoints, "endpoints", "e", endpoints,
		"client addresses of some nodes, HOST:PORT,... (env DYNO_ENDPOINTS)")
	flags.StringVarP(&a.form, "output", "o", formTable, "form of the output: table or json")
	flags.DurationVar(&a.timeout, "timeout", 0,
		"how long a request may take with all its attempts (default 5s)")
	a.complete(root, "output", formTable, formJSON)
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if a.form != formTable && a.form != formJSON {
			return fmt.Errorf("--output %q: must be table or json", a.form)
		}
		if a.timeout < 0 {
			return fmt.Errorf("--timeout %v: must not be negative", a.timeout)
		}
		return nil
	}
	root.AddCommand(
		a.devCommand(), a.serveCommand(), a.kvCommand(), a.bucketCommand(), a.ringCommand(),
		a.clusterCommand(), a.nodeCommand(), a.healthCommand(), a.benchCommand(), a.configCommand(),
		a.lockCommand(), a.metaCommand(), a.hintsCommand(), a.repairCommand(),
		a.versionCommand(), a.completionCommand(), a.manCommand(),
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

// needsCommand is what a command does that only holds others.
func (a *app) needsCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(text)
}

// parent makes a command that only holds others.
func (a *app) parent(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: a.needsCommand,
		SuggestionsMinimumDistance: 2,
	}
	c.AddCommand(children...)
	return c
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

// complete gives a flag the values that a shell offers.
func (a *app) complete(cmd *cobra.Command, flag string, values ...string) {
	// It fails only for a flag that is not there, or was completed twice.
	err := cmd.RegisterFlagCompletionFunc(flag,
		cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err)
	}
}

// say writes a line for people to standard error.
func (a *app) say(format string, args ...any) {
	// Where standard error is gone there is nobody left to tell.
	_, _ = fmt.Fprintf(a.errs, format+"\n", args...)
}

// terminal reports whether a stream ends at a person.
func terminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// colored reports whether a stream wants colours.
func (a *app) colored(stream any) bool {
	return a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb" && terminal(stream)
}
