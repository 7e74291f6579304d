// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"sync"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc/memnet"
)

// heldLock opens three sessions, of which the first holds a lock, and returns its fence.
func (r *engineRig) heldLock() state.Release {
	r.t.Helper()
	for n := uint64(1); n <= 3; n++ {
		r.do(session(n))
	}
	fence := r.do(waitFor(1, 0)).Lock.Fence
	return state.Release{Session: locks.SessionID{1, 0, 0, 1}, Holder: 1, Name: "jobs", Fence: fence}
}

func waitFor(n byte, wait time.Duration) state.Acquire {
	return state.Acquire{
		Session: locks.SessionID{1, 0, 0, n}, Holder: 1, Name: "jobs", Kind: locks.KindExclusive,
		Wait: wait,
	}
}

// The release of the next holder must not wait for the sync of an entry that only has
// somebody queue.
func TestAWaitForAHeldLockSharesTheEntryOfTheReleaseThatFollows(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		release, leader := r.heldLock(), r.leader()
		var both sync.WaitGroup
		var queued, released uint64
		both.Go(func() {
			result, index, err := leader.propose(waitFor(2, time.Minute))
			must(t, err)
			if result.Lock.Code != locks.CodeQueued {
				t.Errorf("the wait is answered %v", result.Lock.Code)
			}
			queued = index
		})
		time.Sleep(lingerFor / 2)
		both.Go(func() {
			_, index, err := leader.propose(release)
			must(t, err)
			released = index
		})
		both.Wait()
		if queued != released {
			t.Errorf("the wait is in entry %d, the release in %d", queued, released)
		}
	})
}

func TestAWaitThatIsAloneDoesNotWaitForCompanyForLong(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		r.heldLock()
		leader, began := r.leader(), time.Now()
		_, _, err := leader.propose(waitFor(2, time.Minute))
		must(t, err)
		alone := time.Since(began)
		began = time.Now()
		_, _, err = leader.propose(waitFor(3, 0)) // a try is in a hurry
		must(t, err)
		if hurried := time.Since(began); alone > hurried+lingerFor || alone < lingerFor {
			t.Errorf("a wait took %v, a try %v", alone, hurried)
		}
	})
}

// What would have queued when it came is granted at once where the lock is free by then.
func TestAWaitIsNotHeldUpWhereItsLockIsFreeMeanwhile(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		r.net.SetDefaults(memnet.Faults{Delay: lingerFor / 8}) // a commit is faster than that
		release, leader := r.heldLock(), r.leader()
		var both sync.WaitGroup
		began := time.Now()
		var freed, granted time.Duration
		both.Go(func() {
			_, _, err := leader.propose(release)
			must(t, err)
			freed = time.Since(began)
		})
		time.Sleep(time.Microsecond) // the release is on its way, and not applied
		both.Go(func() {
			result, _, err := leader.propose(waitFor(2, time.Minute))
			must(t, err)
			if result.Lock.Code != locks.CodeOK {
				t.Errorf("the wait is answered %v", result.Lock.Code)
			}
			granted = time.Since(began)
		})
		both.Wait()
		if freed >= lingerFor/2 || granted > 2*freed+time.Microsecond {
			t.Errorf("the lock was free after %v and granted after %v", freed, granted)
		}
	})
}

func TestAWaitForAFreeLockIsNotHeldUp(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		r.heldLock()
		leader, began := r.leader(), time.Now()
		_, _, err := leader.propose(session(9))
		must(t, err)
		hurried := time.Since(began)
		free := waitFor(2, time.Minute)
		free.Holder, free.Name = 2, "another"
		began = time.Now()
		result, _, err := leader.propose(free)
		must(t, err)
		if took := time.Since(began); took > hurried || result.Lock.Code != locks.CodeOK {
			t.Errorf("%v after %v, another command took %v", result.Lock.Code, took, hurried)
		}
	})
}
