// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// operationsCommands are the commands in the blocks of shell of docs/operations.md.
func operationsCommands(t *testing.T) (commands [][]string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	shell := false
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			shell = line == "```sh"
		case shell:
			words := strings.Split(line, `"`)
			for i := 1; i < len(words); i += 2 { // what is quoted is one argument
				words[i] = strings.ReplaceAll(words[i], " ", "_")
			}
			commands = append(commands, strings.Fields(strings.Join(words, "")))
		}
	}
	return commands
}

// A command that somebody types at night, since the page has it, must be one.
func TestCommandsOfTheOperationsPageAreCommands(t *testing.T) {
	t.Parallel()
	commands := operationsCommands(t)
	const least = 20
	if len(commands) < least {
		t.Fatalf("%d commands, there were at least %d", len(commands), least)
	}
	for _, words := range commands {
		a := &app{out: io.Discard, errs: io.Discard, getenv: func(string) string { return "" }}
		root := a.root()
		c, rest, err := root.Find(words[1:])
		if words[0] != "dyno" || err != nil || c == root || c.HasSubCommands() {
			t.Errorf("%q is no command: %v", words, err)
			continue
		}
		if err := c.ParseFlags(rest); err != nil {
			t.Errorf("%q: %v", words, err)
			continue
		}
		if err := c.ValidateArgs(c.Flags().Args()); err != nil {
			t.Errorf("%q: %v", words, err)
		}
	}
}
