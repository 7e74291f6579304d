// SPDX-License-Identifier: Apache-2.0

package real

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	// killTime is how long a process may take to be gone after SIGKILL, also one that waits
	// for a disk; stopTime how long after SIGTERM.
	killTime = 20 * time.Second
	stopTime = 30 * time.Second
)

// errEndedWell is how a process ended whose exit code is 0.
var errEndedWell = errors.New("exit status 0")

// nodeProcess is one node. Its methods take turns: one that ends the process waits with the
// others until it is gone.
type nodeProcess struct {
	name, dir, log string
	// run starts a command, nil: on this machine; environ is added to that of this process.
	run     func(*exec.Cmd) error
	environ []string

	mu    sync.Mutex
	ended chan struct{} // closed when the process is gone; nil: it does not run
	cmd   *exec.Cmd
	exit  error // how it ended; read after ended
}

// runs reports whether it was started, and nobody has ended it.
func (p *nodeProcess) runs() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended != nil
}

// start runs a program; what it says is added to the log. Nobody but its cluster ends it:
// it has a process group of its own, and ends with this process where the system can see
// to it.
func (p *nodeProcess) start(binary string, args ...string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended != nil {
		return fmt.Errorf("real: %s runs already", p.name)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("real: %w", err)
	}
	defer log.Close() // the process has its own
	p.cmd = exec.Command(binary, args...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = log, log, attributes()
	p.cmd.Env = append(os.Environ(), p.environ...)
	run := p.run
	if run == nil {
		run = (*exec.Cmd).Start
	}
	if err := run(p.cmd); err != nil {
		return fmt.Errorf("real: start %s: %w", p.name, err)
	}
	cmd, ended := p.cmd, make(chan struct{})
	p.ended = ended
	go func() { // until the process is gone, which its cluster sees to
		p.exit = cmd.Wait()
		close(ended)
	}()
	return nil
}

// pid is that of the process, which must have been started.
func (p *nodeProcess) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// end sends a signal that ends the process, and waits until it is gone.
func (p *nodeProcess) end(s syscall.Signal, within time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == nil {
		return nil
	}
	if err := p.gone(); err != nil {
		p.ended = nil
		return err
	}
	_ = p.cmd.Process.Signal(s) // how it ended tells whether it was there
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		return fmt.Errorf("real: %s is there %v after %v, see %s", p.name, within, s, p.log)
	}
	p.ended = nil
	var exit *exec.ExitError
	byItself := errors.As(p.exit, &exit) && exit.Exited() || p.exit == nil
	switch {
	case s == syscall.SIGKILL && byItself:
		return fmt.Errorf("real: %s had ended by itself (%v), see %s", p.name, p.exit, p.log)
	case s == syscall.SIGTERM && p.exit != nil:
		return fmt.Errorf("real: %s was told to stop: %w, see %s", p.name, p.exit, p.log)
	}
	return nil
}

// died is an error where the process is gone although nobody has ended it.
func (p *nodeProcess) died() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone()
}

func (p *nodeProcess) gone() error {
	select {
	case <-p.ended: // never, where it does not run
		exit := p.exit
		if exit == nil {
			exit = errEndedWell
		}
		return fmt.Errorf("real: %s had ended by itself (%w), see %s", p.name, exit, p.log)
	default:
		return nil
	}
}

// signal sends one that does not end the process.
func (p *nodeProcess) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == nil {
		return fmt.Errorf("real: %s does not run", p.name)
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("real: %s: %w, see %s", p.name, err, p.log)
	}
	return nil
}

// collect forgets a process that has ended by itself, and tells how.
func (p *nodeProcess) collect() (exit error, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone() == nil {
		return nil, false
	}
	p.ended = nil
	return p.exit, true
}

// wait waits for a process that ends by itself, and returns its exit code.
func (p *nodeProcess) wait(within time.Duration) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.ended:
		p.ended = nil
		return p.cmd.ProcessState.ExitCode(), nil
	case <-timer.C:
		return 0, fmt.Errorf("real: %s did not end within %v, see %s", p.name, within, p.log)
	}
}
