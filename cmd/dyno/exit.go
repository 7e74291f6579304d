// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"unicode"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/node/dev"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// The exit codes. None ever changes its meaning.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitConflict    = 4  // siblings where one value was asked for, a lock held or lost
	exitUnavailable = 5  // quorum, unavailable, not ready, overloaded, no leader
	exitTimeout     = 6  //
	exitConnect     = 7  // no node could be reached
	exitPermission  = 8  //
	exitUnhealthy   = 9  //
	exitStorage     = 10 // full, damaged, foreign, in use
	exitInterrupted = 130
)

var errInterrupted = errors.New("interrupted")

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

// failWith makes an error that ends the command with a code.
func failWith(code int, format string, args ...any) error {
	return &codedError{code: code, err: fmt.Errorf(format, args...)}
}

// silently ends the command with a code; the reason has been told.
func silently(code int) error { return &codedError{code: code} }

// usage makes an error of usage.
func usage(format string, args ...any) error { return failWith(exitUsage, format, args...) }

// codeExits maps the codes of the client protocol, and those of the client, to exit
// codes. What is not here is an error like any other.
var codeExits = map[client.Code]int{
	wire.CodeInvalid:          exitUsage,
	wire.CodeTooManySiblings:  exitConflict,
	wire.CodeUnauthenticated:  exitPermission,
	wire.CodePermissionDenied: exitPermission,
	wire.CodeNoSuchBucket:     exitNotFound,
	wire.CodeExists:           exitConflict,
	wire.CodeNotReady:         exitUnavailable,
	wire.CodeOverloaded:       exitUnavailable,
	wire.CodeShuttingDown:     exitUnavailable,
	wire.CodeUnavailable:      exitUnavailable,
	wire.CodeQuorum:           exitUnavailable,
	wire.CodeNoLeader:         exitUnavailable,
	wire.CodeTimeout:          exitTimeout,
	wire.CodeWaitTimeout:      exitTimeout,
	wire.CodeFenced:           exitConflict,
	wire.CodeLockHeld:         exitConflict,
	wire.CodeLockLost:         exitConflict,
	wire.CodeLockConflict:     exitConflict,
	wire.CodeSessionExpired:   exitConflict,
	client.CodeSessionLost:    exitConflict,
	client.CodeSessionClosed:  exitConflict,
	wire.CodeCorrupt:          exitStorage,
	client.CodeConnect:        exitConnect,
	client.CodeLost:           exitConnect,
	client.CodeChanged:        exitConflict,
	client.CodeCanceled:       exitInterrupted,
}

// sentinelExits maps errors that are no answers of a node.
var sentinelExits = []struct {
	err  error
	code int
}{
	{errInterrupted, exitInterrupted},
	{client.ErrNotFound, exitNotFound},
	{client.ErrSiblings, exitConflict},
	{storage.ErrLocked, exitStorage},
	{storage.ErrForeign, exitStorage},
	{storage.ErrFormat, exitStorage},
	{storage.ErrDiskFull, exitStorage},
	{storage.ErrFailed, exitStorage},
	{storage.ErrDamaged, exitStorage},
	{storage.ErrUnreadable, exitStorage},
	{dev.ErrForeign, exitStorage},
	{dev.ErrDamaged, exitStorage},
	{node.ErrOtherIdentity, exitStorage},
	{syscall.ENOSPC, exitStorage},
	{context.DeadlineExceeded, exitTimeout},
	{context.Canceled, exitInterrupted},
}

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	var coded *codedError
	if errors.As(err, &coded) {
		return coded.code
	}
	var answered *client.Error
	if errors.As(err, &answered) {
		if code, ok := codeExits[answered.Code]; ok {
			return code
		}
		return exitError
	}
	for _, e := range sentinelExits {
		if errors.Is(err, e.err) {
			return e.code
		}
	}
	return exitError
}

// storageFault gives errors of a directory their exit code: whatever the kernel refuses
// there (not a directory, not permitted, read-only) keeps the store from being opened.
func storageFault(err error) error {
	var path *fs.PathError
	if exitCode(err) == exitError && errors.As(err, &path) {
		return &codedError{code: exitStorage, err: err}
	}
	return err
}

// describe is the one line that tells an error to people. Names of packages say nothing
// to them; what a terminal would take for a command (files have such names) is left out.
func describe(err error) string {
	text := err.Error()
	for _, name := range []string{
		"client", "dev", "node", "storage", "gossip", "rpc", "ring", "state",
	} {
		text = strings.TrimPrefix(text, name+": ")
		text = strings.ReplaceAll(text, ": "+name+": ", ": ")
	}
	text = strings.ReplaceAll(text, "\n", "; ")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
