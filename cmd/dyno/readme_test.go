// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdReadme runs what the README tells a newcomer to run against a cluster: readme FILE.
// The cluster itself is the script's.
func cmdReadme(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: readme FILE")
	}
	commands := dynoCommands(ts.ReadFile(args[0]))
	const least = 5
	if len(commands) < least {
		ts.Fatalf("the README shows %d commands, there were at least %d", len(commands), least)
	}
	for _, c := range commands {
		if c[0] == "dev" {
			continue
		}
		if err := ts.Exec("dyno", c...); err != nil {
			ts.Fatalf("the README's `dyno %s`: %v", strings.Join(c, " "), err)
		}
	}
}

// dynoCommands returns the arguments of each `go run ./cmd/dyno` in the blocks of shell
// of a document.
func dynoCommands(document string) [][]string {
	var commands [][]string
	shell := false
	for line := range strings.Lines(document) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			shell = line == "```sh"
			continue
		}
		command, found := strings.CutPrefix(line, "go run ./cmd/dyno ")
		if !shell || !found {
			continue
		}
		command, _, _ = strings.Cut(command, " #")
		commands = append(commands, strings.Fields(command))
	}
	return commands
}

// copyReadme gives a script the README of the tree.
func copyReadme(env *testscript.Env) error {
	content, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(env.WorkDir, "README.md"), content, 0o644)
}
