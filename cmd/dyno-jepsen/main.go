// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/dyno-kv/dyno/sim/trial"
)

// childCommand is what this program is started with to run one plan: child PLAN DIR. It
// is looked at before anything else runs, and is not for people.
const childCommand = "child"

func main() {
	if len(os.Args) == 4 && os.Args[1] == childCommand {
		trial.Child(os.Args[2], os.Args[3])
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal a second one ends the process the hard way.
	context.AfterFunc(ctx, stop)
	a := &app{out: os.Stdout, errs: os.Stderr, getenv: os.Getenv}
	os.Exit(a.run(ctx, os.Args[1:]))
}
