// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
)

// Limits of shape. Columns count characters, a tab as one.
const (
	maxFileLines     = 400
	maxFunctionLines = 70
	maxColumns       = 100
)

// Violation is one breach of one rule.
type Violation struct {
	Rule string // the name of the rule, as in Rules
	File string // path from the root of the tree; a folder where the package is at fault
	Line int    // 0 where the whole file or folder is meant
	Text string // what is wrong, and what to do
}

func (v Violation) String() string {
	if v.Line == 0 {
		return fmt.Sprintf("%s: %s (%s)", v.File, v.Text, v.Rule)
	}
	return fmt.Sprintf("%s:%d: %s (%s)", v.File, v.Line, v.Text, v.Rule)
}

// Rule is one thing that the tree must keep to.
type Rule struct {
	Name  string
	Asks  string // what the rule asks for, in one sentence
	check func(t *tree, p *pkg, report reporter)
}

// reporter takes a breach at a line of a file.
type reporter func(file string, line int, format string, args ...any)

// Rules lists every rule.
func Rules() []Rule {
	return []Rule{
		{"table", "every package has a room in the table", checkTable},
		{"imports", "imports point to lower rows", checkImports},
		{"libraries", "a library is imported by the rooms that own it", checkLibraries},
		{"core", "a core starts, waits for, reads and prints nothing", checkCore},
		{"globals", "nothing mutable lives at package level", checkGlobals},
		{"init", "no func init", checkInit},
		{"logging", "no global logger, no sugar", checkLogging},
		{"exits", "only a main package ends the process", checkExits},
		{"sockets", "sockets come from an injected dialer or listener", checkSockets},
		{"random", "random numbers come from an injected source", checkRandom},
		{"doc", "one package comment, in doc.go, with its invariants", checkDoc},
		{"licence", "the SPDX line comes first", checkLicence},
		{"size", "files, functions and lines keep to their limits", checkSize},
		{"goleak", "a package that starts goroutines checks for leaks", checkGoleak},
	}
}

// Check reads the module under fsys and returns its breaches, in order of file, line
// and rule. The error says what could not be read or parsed.
func Check(fsys fs.FS) ([]Violation, error) {
	t, err := load(fsys)
	if err != nil {
		return nil, err
	}
	var found []Violation
	for _, rule := range Rules() {
		for _, p := range t.pkgs {
			rule.check(t, p, func(file string, line int, format string, args ...any) {
				text := fmt.Sprintf(format, args...)
				found = append(found, Violation{Rule: rule.Name, File: file, Line: line, Text: text})
			})
		}
	}
	slices.SortStableFunc(found, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(found), nil
}
