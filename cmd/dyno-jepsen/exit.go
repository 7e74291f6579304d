// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/dyno-kv/dyno/jepsen/checker"
)

// The exit codes. None ever changes its meaning.
const (
	exitValid       = 0
	exitInvalid     = 1
	exitUnknown     = 2 // also errors of the rig itself: nothing was shown
	exitUsage       = 64
	exitInterrupted = 130
)

const exitText = `  0    valid
  1    a rule was broken
  2    unknown: too little was shown, or the rig itself failed; red as well
  64   usage
  130  interrupted`

// codedError is an error that knows its exit code.
type codedError struct {
	code int
	err  error // nil: what there is to say has been said
}

func (e *codedError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *codedError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &codedError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// ends ends a command with a verdict that has been told; nil where it is valid.
func ends(v checker.Verdict) error {
	switch v {
	case checker.Valid:
		return nil
	case checker.Invalid:
		return &codedError{code: exitInvalid}
	default:
		return &codedError{code: exitUnknown}
	}
}

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	var coded *codedError
	switch {
	case err == nil:
		return exitValid
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	default:
		return exitUnknown
	}
}

// describe tells an error to people. What a compiler said has lines; what a terminal
// would take for a command is left out.
func describe(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, strings.TrimPrefix(err.Error(), "fleet: "))
}
