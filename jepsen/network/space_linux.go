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
		return nil
	}, func() error {
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
		return nil
	}, f)
}

func (s *space) close() error { return s.ns.Close() }

// onThread calls enter, which changes the namespace of its thread or fails, and then f, and
// goes back to the one before. A thread that can not is left locked, so that it ends with its
// goroutine.
func onThread(enter, f func() error) error {
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
		if err := enter(); err != nil {
			runtime.UnlockOSThread()
			result <- err
			return
		}
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
