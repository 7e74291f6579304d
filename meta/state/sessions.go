// SPDX-License-Identifier: Apache-2.0

package state

import "github.com/dyno-kv/dyno/locks"

// locked is the answer of a command of package locks.
func locked(r locks.Result) Result { return Result{Code: CodeOK, Lock: r} }

func (c SessionOpen) apply(s *State, at locks.At) Result {
	return locked(s.locks.OpenSession(at, locks.SessionOpen(c)))
}

func (c SessionClose) apply(s *State, at locks.At) Result {
	return locked(s.locks.CloseSession(at, locks.SessionClose(c)))
}

func (c SessionExpire) apply(s *State, at locks.At) Result {
	return locked(s.locks.ExpireSessions(at, locks.SessionExpire(c)))
}

func (c Acquire) apply(s *State, at locks.At) Result {
	return locked(s.locks.Acquire(at, locks.Acquire(c)))
}

func (c Cancel) apply(s *State, at locks.At) Result {
	return locked(s.locks.Cancel(at, locks.Cancel(c)))
}

func (c CancelWait) apply(s *State, at locks.At) Result {
	return locked(s.locks.CancelWait(at, locks.CancelWait(c)))
}

func (c Release) apply(s *State, at locks.At) Result {
	return locked(s.locks.Release(at, locks.Release(c)))
}

func (c SetValue) apply(s *State, at locks.At) Result {
	return locked(s.locks.SetValue(at, locks.SetValue(c)))
}

func (c ForceRelease) apply(s *State, at locks.At) Result {
	return locked(s.locks.ForceRelease(at, locks.ForceRelease(c)))
}

func (c EndDelay) apply(s *State, at locks.At) Result {
	return locked(s.locks.EndDelay(at, locks.EndDelay(c)))
}
