// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdReadme runs what the README tells a newcomer to run against a cluster: readme FILE.
// The cluster itself is the script's.
func cmdReadme(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: readme FILE")
	}
	commands := dynoCommands(ts.ReadFile(args[0]), "go run ./cmd/dyno ")
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

// cmdReadmeServe starts the nodes that the README starts as processes, at free ports, waits
// until they are ready, and runs what it tells to run against them: readmeserve FILE.
func cmdReadmeServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: readmeserve FILE")
	}
	cmdPorts(ts, false, []string{"A", "B", "C"})
	ports := strings.NewReplacer("127.0.0.1:4610", ts.Getenv("A"), "127.0.0.1:4620", ts.Getenv("B"),
		"127.0.0.1:4630", ts.Getenv("C"))
	var names []string
	var others [][]string
	for _, c := range dynoCommands(ts.ReadFile(args[0]), "bin/dyno ") {
		if c[0] != "serve" {
			others = append(others, c)
			continue
		}
		if !slices.Contains(c, "--listen") {
			c = append(c, "--listen", "127.0.0.1:4610") // the default
		}
		for i := range c {
			c[i] = ports.Replace(c[i])
		}
		name := c[slices.Index(c, "--name")+1]
		names = append(names, name)
		cmdServe(ts, false, append([]string{name}, c[1:]...))
	}
	const nodes, least = 3, 4
	if len(names) != nodes || len(others) < least {
		ts.Fatalf("the README starts %v and shows %d commands", names, len(others))
	}
	cmdServeReady(ts, false, names)
	ts.Setenv("DYNO_ENDPOINTS", ts.Getenv("A"))
	for _, c := range others {
		if err := ts.Exec("dyno", c...); err != nil {
			ts.Fatalf("the README's `dyno %s`: %v", strings.Join(c, " "), err)
		}
	}
	cmdServeEnd(ts, false, names)
}

// dynoCommands returns the arguments of each command with a prefix in the blocks of shell
// of a document.
func dynoCommands(document, prefix string) [][]string {
	var commands [][]string
	shell := false
	for line := range strings.Lines(document) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			shell = line == "```sh"
			continue
		}
		command, found := strings.CutPrefix(line, prefix)
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
