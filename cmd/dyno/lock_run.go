// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

const (
	// killAfter is how long a command that has to stop may take to do so.
	killAfter = 5 * time.Second
	// pipesAfter is how long what the command has started may keep its output open.
	pipesAfter = time.Second
	// signalBase and a signal's number are the code of a command that the signal ended,
	// as shells have it.
	signalBase = 128
	// maxSignals is how many signals may wait to be handed on; more of them say nothing new.
	maxSignals = 16
)

// handedOn are the signals that a command gets from whoever sends them to dyno.
func handedOn() []os.Signal {
	return []os.Signal{
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1,
		syscall.SIGUSR2,
	}
}

func (a *app) lockRunCommand() *cobra.Command {
	var h holding
	c := &cobra.Command{
		Use:   "run NAME -- CMD [ARGS...]",
		Short: "Run a command while holding a lock",
		Long: `Gets a lock, runs the command, and gives the lock back when the command has ended. The
command finds the lock's name in DYNO_LOCK_NAME and the fence of the grant in DYNO_LOCK_FENCE.
It gets the signals that dyno gets, and dyno ends with the command's code (128 and the
signal's number where a signal ended it).

When the lock is lost the command gets SIGTERM, and SIGKILL 5 s later; then dyno ends with 4.
It also ends with 4 when the lock is held (--try), and with 6 when the wait is over; the
command has not run then. Away from a terminal the command's own children get these signals
too. A dyno that is killed itself (SIGKILL) leaves the command running, and the lock is free
after --ttl.`,
		Example: `  dyno lock run jobs/compact -- ./compact.sh
  dyno lock run jobs/compact --wait 1m -- ./compact.sh --all
  dyno lock run jobs/compact --try -- ./compact.sh`,
		Args: func(c *cobra.Command, args []string) error {
			if at := c.ArgsLenAtDash(); at != 1 || len(args) < 2 {
				return errors.New("it takes NAME -- CMD [ARGS...]")
			}
			return nil
		},
	}
	h.flags(c)
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
		return a.lockRun(ctx, c, &h, args[0], args[1:])
	}))
	return c
}

func (a *app) lockRun(
	ctx context.Context, c *client.Client, h *holding, name string, command []string,
) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("%s: %w", command[0], err) // before the lock is taken for nothing
	}
	s, held, err := h.hold(ctx, c, name)
	if err != nil {
		return err
	}
	r := run{app: a, cmd: exec.Command(path, command[1:]...), patience: killAfter}
	r.cmd.Args[0] = command[0]
	r.cmd.Env = append(os.Environ(), "DYNO_LOCK_NAME="+name,
		"DYNO_LOCK_FENCE="+strconv.FormatUint(held.Fence(), 10))
	signals := make(chan os.Signal, maxSignals)
	signal.Notify(signals, handedOn()...)
	defer signal.Stop(signals)
	if ctx.Err() != nil { // interrupted just before
		_ = a.giveBack(ctx, s, held)
		return ctx.Err()
	}
	code, err := r.supervise(signals, held.Lost())
	if lost := a.giveBack(ctx, s, held); lost != nil {
		return errors.Join(lost, err)
	}
	if err == nil && code != exitOK {
		return silently(code)
	}
	return err
}

// run is a command that runs while a lock is held.
type run struct {
	app      *app
	cmd      *exec.Cmd
	patience time.Duration // from SIGTERM to SIGKILL
	// group says that the command leads a process group of its own, which gets the signals.
	group bool
}

// supervise runs the command to its end, and returns its exit code. It hands signals on,
// and ends the command when the lock is lost.
func (r *run) supervise(signals <-chan os.Signal, lost <-chan struct{}) (code int, err error) {
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = r.app.in, r.app.out, r.app.errs
	r.cmd.WaitDelay = pipesAfter
	// At a terminal the command stays in dyno's group, so that both are in the foreground.
	r.group = !terminal(r.app.in)
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: r.group}
	if err := r.cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", r.cmd.Args[0], err)
	}
	ended := make(chan error, 1) // Wait returns once
	go func() { ended <- r.cmd.Wait() }()
	var kill <-chan time.Time
	for {
		select {
		case err := <-ended:
			if lost == nil {
				r.outlast(kill)
			}
			return r.code(err)
		case s := <-signals:
			// The terminal has told the command of Ctrl-C already.
			if r.group || s != syscall.SIGINT && s != syscall.SIGQUIT {
				r.signal(s.(syscall.Signal))
			}
		case <-lost:
			r.app.say("dyno: the lock is lost; the command has to stop")
			r.signal(syscall.SIGTERM)
			timer := time.NewTimer(r.patience)
			defer timer.Stop()
			kill, lost = timer.C, nil
		case <-kill:
			r.signal(syscall.SIGKILL)
		}
	}
}

// outlast ends what a command that had to stop has left behind in its group.
func (r *run) outlast(kill <-chan time.Time) {
	const look = 20 * time.Millisecond
	for r.group && syscall.Kill(-r.cmd.Process.Pid, 0) == nil {
		select {
		case <-kill:
			r.signal(syscall.SIGKILL)
			return
		case <-time.After(look):
		}
	}
}

// signal sends a signal to the command. It may have ended a moment ago: Wait tells.
func (r *run) signal(s syscall.Signal) {
	pid := r.cmd.Process.Pid
	if r.group {
		pid = -pid
	}
	_ = syscall.Kill(pid, s)
}

// code is the exit code that the end of the command means.
func (r *run) code(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended well, what it began goes on
		return exitOK, nil
	case !errors.As(err, &exit):
		return 0, fmt.Errorf("run %s: %w", r.cmd.Args[0], err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return signalBase + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}
