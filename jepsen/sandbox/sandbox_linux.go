// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// marker is set for the inner program: "user" where it has a user namespace.
	marker     = "DYNO_SANDBOX_INNER"
	markerRoot = "root"
	markerUser = "user"

	namespaces = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC
)

// Enter puts the program into namespaces of its own. It returns at once in the inner program,
// and where there can be none; in the outer one it returns when the inner one has ended, see
// [Status]. Call it first: what the program did before, it does again.
func Enter() (Status, error) {
	if as, inner := os.LookupEnv(marker); inner {
		return settle(as)
	}
	runtime.LockOSThread() // the inner program is killed with the thread that started it
	// Signals that come before the inner program is there are kept for it.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded()...)
	cmd, err := start()
	if err != nil {
		signal.Stop(signals)
		runtime.UnlockOSThread()
		return Status{Lacks: fmt.Sprintf("no namespaces: %v; what is killed may leave processes "+
			"and mounts", err)}, nil
	}
	defer runtime.UnlockOSThread()
	defer signal.Stop(signals)
	return Status{Ended: true, ExitCode: wait(cmd, signals)}, nil
}

// forwarded are the signals that are handed on.
func forwarded() []os.Signal {
	return []os.Signal{
		unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2,
	}
}

// start starts the inner program: with the rights of root where this user has them, and else
// in a user namespace.
func start() (*exec.Cmd, error) {
	cmd, err := startAs(markerRoot)
	if err == nil {
		return cmd, nil
	}
	cmd, again := startAs(markerUser)
	if again == nil {
		return cmd, nil
	}
	return nil, errors.Join(err, again)
}

func startAs(as string) (*exec.Cmd, error) {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), marker+"="+as)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: namespaces, Pdeathsig: unix.SIGKILL, Setpgid: true,
	}
	if as == markerUser {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return cmd, cmd.Start()
}

// wait hands on signals until the inner program is gone, and returns the exit code.
func wait(cmd *exec.Cmd, signals <-chan os.Signal) int {
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }() // ends with the inner program, for which wait waits
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // it may just be gone
		case <-gone:
			status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if ok && status.Signaled() {
				return 128 + int(status.Signal())
			}
			return cmd.ProcessState.ExitCode()
		}
	}
}

// settle makes the inner program's namespaces its own.
func settle(as string) (Status, error) {
	// Its children are no inner programs, also where they call Enter.
	if err := os.Unsetenv(marker); err != nil {
		return Status{}, fmt.Errorf("sandbox: %w", err)
	}
	if os.Getpid() != 1 {
		return Status{}, fmt.Errorf("sandbox: %s is set, and this is not the first process of "+
			"its namespace: unset it", marker)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return Status{}, fmt.Errorf("sandbox: make mounts private: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return Status{}, fmt.Errorf("sandbox: loopback device: %w", err)
	}
	s := Status{Inside: true, User: as == markerUser}
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if err := unix.Mount("proc", "/proc", "proc", flags, ""); err != nil {
		// A container that hides parts of /proc does not let users mount a whole one.
		s.Lacks = fmt.Sprintf("its own /proc: %v; /proc shows the processes outside", err)
	}
	return s, nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return err
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
