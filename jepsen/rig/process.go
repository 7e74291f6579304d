// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/jepsen/nemesis"
)

func processActions() map[nemesis.Kind]action {
	return map[nemesis.Kind]action{
		nemesis.Kill: killed, nemesis.KillAll: killed, nemesis.LeaderKill: killed,
		nemesis.Stop: stopped, nemesis.Pause: paused, nemesis.LeaderPause: paused,
		nemesis.CrashLoop: crashLoop, nemesis.CrashAt: crashAt, nemesis.Rolling: rolling,
		nemesis.Upgrade: upgrade,
	}
}

// each does something with each of the nodes, and with all of them whatever fails.
func (a *act) each(do func(i int) error) error {
	var errs []error
	for _, i := range a.nodes {
		errs = append(errs, do(i))
	}
	return errors.Join(errs...)
}

// kill ends the processes of all nodes of the fault.
func (a *act) kill() error {
	err := a.each(a.cluster.Kill)
	if err == nil {
		a.met("killed", int64(len(a.nodes)))
	}
	return err
}

// revive starts the nodes, says that the fault is over, and waits for a while until they are
// ready: what cuts them off may last longer than their own fault, and they go on by themselves.
func (a *act) revive(ctx context.Context) error {
	if err := a.each(a.cluster.Restart); err != nil {
		return err
	}
	a.over()
	return a.up(ctx, upTime, a.nodes)
}

// up waits until nodes are ready, or the time is over. One that ends meanwhile is an error.
func (a *act) up(ctx context.Context, within time.Duration, nodes []int) error {
	for end := time.Now().Add(within); time.Now().Before(end); {
		for _, i := range nodes {
			if exit, ended := a.cluster.Collect(i); ended {
				return fmt.Errorf("%s was started, and ended by itself (%v), see %s",
					a.cluster.Name(i), exit, a.cluster.Log(i))
			}
		}
		if a.cluster.AreReady(ctx, nodes...) || !rest(ctx, look) {
			return nil
		}
	}
	return nil
}

func killed(ctx context.Context, a *act) error {
	err := a.kill()
	a.last(ctx)
	return errors.Join(err, a.revive(ctx))
}

func stopped(ctx context.Context, a *act) error {
	err := a.each(a.cluster.Stop)
	a.met("stopped", int64(len(a.nodes)))
	a.last(ctx)
	return errors.Join(err, a.revive(ctx))
}

func paused(ctx context.Context, a *act) error {
	err := a.each(a.cluster.Pause)
	if err == nil {
		a.met("paused", int64(len(a.nodes)))
	}
	a.last(ctx)
	return errors.Join(err, a.each(a.cluster.Resume))
}

// crashLoop kills a node again soon after each start.
func crashLoop(ctx context.Context, a *act) error {
	turn := time.Duration(a.fault.For) / time.Duration(a.fault.N)
	for n := range a.fault.N {
		if err := a.kill(); err != nil {
			return err
		}
		rest(ctx, turn/4)
		if n == a.fault.N-1 {
			break
		}
		if err := a.each(a.cluster.Restart); err != nil {
			return err
		}
		rest(ctx, turn/4+time.Duration(a.rng.Int64N(int64(turn/2))))
	}
	return a.revive(ctx)
}

// rolling stops and starts one node after the other, each when the one before is ready.
func rolling(ctx context.Context, a *act) error {
	for _, i := range a.rng.Perm(a.cluster.Nodes()) {
		if err := a.turnOver(ctx, i); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// turnOver stops a node, and starts it.
func (a *act) turnOver(ctx context.Context, i int) error {
	if err := a.cluster.Stop(i); err != nil {
		return err
	}
	if err := a.cluster.Restart(i); err != nil {
		return err
	}
	a.met("restarted", 1)
	return a.up(ctx, 2*upTime, []int{i})
}

// upgrade goes to the old program and back, one node after the other, with both in use for as
// long as that takes.
func upgrade(ctx context.Context, a *act) error {
	nodes := a.rng.Perm(a.cluster.Nodes())
	for _, program := range []string{a.cfg.Old, a.cfg.Binary} {
		for _, i := range nodes {
			a.cluster.Use(i, program)
			if err := a.turnOver(ctx, i); err != nil {
				return err
			}
		}
	}
	return nil
}
