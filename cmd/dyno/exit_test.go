// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/node/dev"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// TestEveryCodeHasTheDocumentedExit goes through the codes of the protocol, so that a
// new one must be placed here.
func TestEveryCodeHasTheDocumentedExit(t *testing.T) {
	want := map[client.Code]int{
		wire.CodeInvalid: 2, wire.CodeTooLarge: 1, wire.CodeTooManySiblings: 4,
		wire.CodeUnknownMethod: 1, wire.CodeUnsupportedVersion: 1,
		wire.CodeUnauthenticated: 8, wire.CodePermissionDenied: 8,
		wire.CodeNoSuchBucket: 3, wire.CodeExists: 4,
		wire.CodeNotReady: 5, wire.CodeOverloaded: 5, wire.CodeShuttingDown: 5,
		wire.CodeUnavailable: 5, wire.CodeQuorum: 5, wire.CodeTimeout: 6,
		wire.CodeFenced: 4, wire.CodeLockHeld: 4, wire.CodeWaitTimeout: 6,
		wire.CodeSessionExpired: 4, wire.CodeLockLost: 4, wire.CodeLockConflict: 4,
		wire.CodeNoLeader: 5, wire.CodeCorrupt: 10, wire.CodeInternal: 1,
		client.CodeConnect: 7, client.CodeLost: 7, client.CodeCanceled: 130,
		client.CodeClosed: 1, client.CodeBadAnswer: 1, client.CodeChanged: 4,
	}
	for _, code := range wire.Codes() {
		if _, ok := want[code]; !ok {
			t.Errorf("%s has no exit code here", code)
		}
	}
	for code, exit := range want {
		err := fmt.Errorf("wrapped: %w", &client.Error{Code: code})
		if got := exitCode(err); got != exit {
			t.Errorf("%s ends with %d, want %d", code, got, exit)
		}
	}
}

func TestErrorsOfThisSideHaveTheirExits(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{usage("wrong"), 2},
		{client.ErrNotFound, 3},
		{client.ErrSiblings, 4},
		{context.DeadlineExceeded, 6},
		{storage.ErrLocked, 10},
		{storage.ErrForeign, 10},
		{storage.ErrDiskFull, 10},
		{storage.ErrDamaged, 10},
		{dev.ErrForeign, 10},
		{dev.ErrDamaged, 10},
		{storageFault(&fs.PathError{Op: "open", Path: "x", Err: os.ErrPermission}), 10},
		{storageFault(errors.New("port taken")), 1},
		{storageFault(fmt.Errorf("x: %w", storage.ErrLocked)), 10},
		{errInterrupted, 130},
		{silently(4), 4},
	} {
		if got := exitCode(tc.err); got != tc.want {
			t.Errorf("%v ends with %d, want %d", tc.err, got, tc.want)
		}
	}
}

func TestErrorsAreToldOnOneLineWithoutNamesOfPackages(t *testing.T) {
	err := errors.Join(fmt.Errorf("n1: %w", fmt.Errorf("node: client port: %w", errors.New("taken"))),
		errors.New("storage: closed"))
	if got, want := describe(err), "n1: client port: taken; storage: closed"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := describe(silently(4)); got != "" {
		t.Errorf("%q, want nothing", got)
	}
}
