// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// space is a network namespace without a name: it is gone when it is closed, and no process
// is in it any more.
type space struct{ ns *os.File }

// ownSpace is where the calling thread is.
const ownSpace = "/proc/thread-self/ns/net"

// newSpace makes an empty namespace.
func newSpace() (*space, error) {
	var s *space
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		ns, err := os.Open(ownSpace)
		if err != nil {
			return err
		}
		s = &space{ns}
		return nil
	})
	return s, err
}

// do calls f on a thread that is in the namespace: sockets that it opens and processes that
// it starts are there.
func (s *space) do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(s.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return f()
	})
}

func (s *space) close() error { return s.ns.Close() }

// onThread calls f, which may change the namespace of its thread, and goes back to the one
// before. A thread that can not is left locked, so that it ends with its goroutine.
func onThread(f func() error) error {
	result := make(chan error, 1)
	go func() { // until f has returned, for which onThread waits
		runtime.LockOSThread()
		own, err := os.Open(ownSpace)
		if err != nil {
			runtime.UnlockOSThread()
			result <- err
			return
		}
		defer own.Close()
		err = f()
		if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
			result <- errors.Join(err, fmt.Errorf("leave a network namespace: %w", back))
			return
		}
		runtime.UnlockOSThread()
		result <- err
	}()
	return <-result
}
