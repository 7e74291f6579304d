// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// mutant is one changed line.
type mutant struct {
	pkg  string // folder of the package from the root, with slashes
	file string // from the root, with slashes
	name string // what is wrong with it, in one sentence
	old  string // the line, without the white space around it
	new  string // what stands in its place; "" drops the line
	nth  int    // which of the matching lines; 0 where there may be only one
}

// readList reads the mutants of the package in folder pkg below root.
func readList(root, pkg string) ([]mutant, error) {
	name := filepath.Join(root, filepath.FromSlash(pkg), "testdata", "mutants.txt")
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the list of %s: %w", pkg, err)
	}
	mutants, err := parseList(pkg, string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return mutants, nil
}

// parseList reads all blocks and joins the faults of all of them.
func parseList(pkg, text string) ([]mutant, error) {
	var mutants []mutant
	var faults []error
	names := make(map[string]bool)
	line := 1
	for block := range strings.SplitSeq("\n"+text, "\n---") {
		began := line
		line += strings.Count(block, "\n")
		m, empty, err := parseBlock(pkg, block)
		if empty {
			continue
		}
		if err == nil && names[m.name] {
			err = fmt.Errorf("name %q stands twice", m.name)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("block after line %d: %w", began-1, err))
			continue
		}
		names[m.name] = true
		mutants = append(mutants, m)
	}
	return mutants, errors.Join(faults...)
}

func parseBlock(pkg, block string) (m mutant, empty bool, err error) {
	m.pkg = pkg
	empty = true
	var haveOld, haveNew bool
	for line := range strings.Lines(block) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || strings.Trim(line, "-") == "" && len(line) > 1 {
			continue
		}
		empty = false
		switch {
		case strings.HasPrefix(line, "file:"):
			m.file = strings.TrimSpace(line[len("file:"):])
		case strings.HasPrefix(line, "name:"):
			m.name = strings.TrimSpace(line[len("name:"):])
		case strings.HasPrefix(line, "nth:"):
			m.nth, err = strconv.Atoi(strings.TrimSpace(line[len("nth:"):]))
			if err != nil || m.nth < 1 {
				return m, false, fmt.Errorf("%q: nth is a number from 1", line)
			}
		case line[0] == '-' && !haveOld:
			m.old, haveOld = strings.TrimSpace(line[1:]), true
		case line[0] == '+' && !haveNew:
			m.new, haveNew = strings.TrimSpace(line[1:]), true
		default:
			return m, false, fmt.Errorf("%q is not file, name, nth, one old or one new line", line)
		}
	}
	if empty {
		return m, true, nil
	}
	return m, false, m.validate(haveNew)
}

func (m mutant) validate(haveNew bool) error {
	switch {
	case m.file == "" || m.name == "" || m.old == "" || !haveNew:
		return fmt.Errorf("mutant %q of %q: file, name, - and + lines are needed", m.name, m.file)
	case path.Dir(m.file) != m.pkg:
		return fmt.Errorf("mutant %q: file %s is not of package %s", m.name, m.file, m.pkg)
	case strings.HasSuffix(m.file, "_test.go"):
		return fmt.Errorf("mutant %q: file %s is a test", m.name, m.file)
	case m.old == m.new:
		return fmt.Errorf("mutant %q changes nothing", m.name)
	}
	return nil
}

// apply returns the source with the line changed.
func (m mutant) apply(source string) (string, error) {
	lines := strings.SplitAfter(source, "\n")
	var places []int
	for i, line := range lines {
		if strings.TrimSpace(line) == m.old {
			places = append(places, i)
		}
	}
	switch {
	case len(places) == 0:
		return "", fmt.Errorf("%s has no line %q", m.file, m.old)
	case m.nth == 0 && len(places) > 1:
		return "", fmt.Errorf("%s has %d lines %q: say which by nth", m.file, len(places), m.old)
	case m.nth > len(places):
		return "", fmt.Errorf("%s has only %d lines %q", m.file, len(places), m.old)
	}
	at := places[max(m.nth, 1)-1]
	lines[at] = strings.Replace(lines[at], m.old, m.new, 1)
	return strings.Join(lines, ""), nil
}
