// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// CrashVariable names a file to a program that is built with the tag failpoints: what stands
// in it when the program starts is at which pass of which failpoint it is to be killed.
const CrashVariable = "DYNO_CRASH_AT"

// crashFiles are those of all nodes.
type crashFiles []string

// openCrashFiles makes files that ask for nothing.
func openCrashFiles(cfg *Config) (crashFiles, error) {
	var all crashFiles
	for i := range cfg.Nodes {
		path := filepath.Join(cfg.Dir, fmt.Sprintf("n%d.crash", i+1))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return nil, fmt.Errorf("rig: %w", err)
		}
		all = append(all, path)
	}
	return all, nil
}

func (c crashFiles) environ(i int) []string { return []string{CrashVariable + "=" + c[i]} }

// ask has the next process of a node end at a pass of a point; those after it do not.
func (c crashFiles) ask(i int, point string, pass int) error {
	return os.WriteFile(c[i], fmt.Appendf(nil, "%s %d\n", point, pass), 0o600)
}

func (c crashFiles) forget(i int) error { return os.WriteFile(c[i], nil, 0o600) }

// itself is how a process looks that was killed at its failpoint, as by kill -9.
func itself(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.String() == "signal: killed"
}

// crashAt has a process that is killed at a failpoint take the place of the node's. One that
// has not passed it is told to stop in the end: some points are passed by that alone.
func crashAt(ctx context.Context, a *act) error {
	i, files := a.nodes[0], a.world.crashes
	if err := errors.Join(a.cluster.Kill(i), files.ask(i, a.fault.Point, a.fault.N)); err != nil {
		return errors.Join(err, files.forget(i))
	}
	end := time.Now().Add(time.Duration(a.fault.For))
	if err := a.cluster.Restart(i); err != nil {
		return errors.Join(err, files.forget(i))
	}
	var exit error
	ended := false
	for !ended && time.Until(end) > time.Duration(a.fault.For)/4 && rest(ctx, look) {
		exit, ended = a.cluster.Collect(i)
	}
	if !ended {
		exit = a.cluster.Stop(i)
		ended = exit != nil
	}
	switch {
	case ended && !itself(exit):
		return errors.Join(fmt.Errorf("%s was to be killed at %s, and ended otherwise (%w), see %s",
			a.cluster.Name(i), a.fault.Point, exit, a.cluster.Log(i)), files.forget(i))
	case ended:
		a.met("killed at its point", 1)
	}
	if err := files.forget(i); err != nil {
		return err
	}
	rest(ctx, time.Until(end))
	return a.revive(ctx)
}
