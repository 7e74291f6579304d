// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (a *app) manCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "man",
		Short: "Print the manual page",
		Long:  "Prints one manual page with all commands, in roff.",
		Example: "  dyno man | man -l -\n" +
			"  dyno man > /usr/local/share/man/man1/dyno.1",
		Args: takes(0, 0),
	}
	c.RunE = a.does(func(context.Context, []string) error {
		return a.printf("%s", manPage(c.Root()))
	})
	return c
}

// manPage is the page of a program: the root's text, a section for each command, and the
// exit codes.
func manPage(root *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH DYNO 1 \"\" \"dyno %s\" \"User Commands\"\n", roff(version))
	fmt.Fprintf(&b, ".SH NAME\ndyno \\- %s\n", roff(root.Short))
	b.WriteString(".SH SYNOPSIS\n.B dyno\n[\\fIFLAGS\\fR] \\fICOMMAND\\fR\n")
	b.WriteString(".SH DESCRIPTION\n" + roffBlock(root.Long))
	b.WriteString(".SH GLOBAL FLAGS\n" + manFlags(root.PersistentFlags()))
	b.WriteString(".SH COMMANDS\n")
	manCommands(&b, root)
	b.WriteString(".SH EXIT CODES\n" + roffBlock(exitText))
	return b.String()
}

func manCommands(b *strings.Builder, parent *cobra.Command) {
	for _, c := range parent.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "help" {
			continue
		}
		if c.HasSubCommands() {
			manCommands(b, c)
			continue
		}
		fmt.Fprintf(b, ".SS %s\n", roff(c.UseLine()))
		text := c.Long
		if text == "" {
			text = c.Short
		}
		b.WriteString(roffBlock(text) + manFlags(c.LocalNonPersistentFlags()))
		if c.Example != "" {
			b.WriteString(".PP\nExamples:\n" + roffBlock(c.Example))
		}
	}
}

func manFlags(flags *pflag.FlagSet) string {
	var b strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		short := ""
		if f.Shorthand != "" {
			short = "-" + f.Shorthand + ", "
		}
		kind, text := pflag.UnquoteUsage(f)
		fmt.Fprintf(&b, ".TP\n\\fB%s\\fR %s\n%s\n", roff(short+"--"+f.Name), roff(kind), roff(text))
	})
	return b.String()
}

// roff keeps text from being read as commands.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

// roffBlock shows text with its lines as they are.
func roffBlock(text string) string {
	var b strings.Builder
	b.WriteString(".PP\n.nf\n")
	for line := range strings.Lines(text) {
		b.WriteString(roff(strings.TrimSuffix(line, "\n")) + "\n")
	}
	b.WriteString(".fi\n")
	return b.String()
}

// exitText documents the exit codes for people.
const exitText = `  0  ok; 'dev' that was ended by a signal too
  1  error
  2  usage: the command, or the request, was wrong
  3  not found
  4  conflict: several values where one was asked for
  5  too few replicas, not ready, overloaded
  6  timeout
  7  no node could be reached
  8  authentication or permission
  9  unhealthy
 10  storage: full, damaged, foreign, or in use
130  interrupted`
