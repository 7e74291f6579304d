// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// sweeping is a sweeper whose store and group are played by the test.
type sweeping struct {
	changed chan struct{}
	gone    atomic.Uint64
	sweeps  atomic.Int64
	err     atomic.Pointer[error]
	end     func() error
}

func startSweeping() *sweeping {
	w := &sweeping{changed: make(chan struct{}, 1)}
	s := &sweeper{
		changed: w.changed, deleted: w.gone.Load, log: zap.NewNop(),
		remove: func(context.Context) (int, error) {
			w.sweeps.Add(1)
			if err := w.err.Load(); err != nil {
				return 3, *err
			}
			return 0, nil
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	w.end = func() error { cancel(); return <-ended }
	return w
}

// after waits, and returns how often was swept in all.
func (w *sweeping) after(d time.Duration) int64 {
	time.Sleep(d)
	synctest.Wait()
	return w.sweeps.Load()
}

func (w *sweeping) delete() {
	w.gone.Add(1)
	w.changed <- struct{}{}
}

func TestDeletedBucketsAreSweptAfterAStartAndAfterEachDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startSweeping()
		if n := w.after(sweepDelay - time.Second); n != 0 {
			t.Errorf("%d sweeps while the node starts", n)
		}
		if n := w.after(2 * time.Second); n != 1 {
			t.Errorf("%d sweeps after the start", n)
		}
		w.changed <- struct{}{} // another ring, or another bucket
		if n := w.after(time.Hour); n != 1 {
			t.Errorf("%d sweeps for nothing", n-1)
		}
		w.delete()
		if n := w.after(sweepDelay - time.Second); n != 1 {
			t.Errorf("%d sweeps while writes may be under way", n-1)
		}
		w.delete()
		if n := w.after(time.Hour); n != 2 {
			t.Errorf("%d sweeps for two deletions within the delay, want one", n-1)
		}
		w.delete()
		if n := w.after(time.Hour); n != 3 {
			t.Errorf("%d sweeps in all, want three", n)
		}
		if err := w.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestASweepThatFailedIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startSweeping()
		failure := errors.New("a disk that can not be read")
		w.err.Store(&failure)
		w.after(sweepDelay + time.Second)
		if n := w.after(2 * sweepRetry); n != 3 {
			t.Errorf("%d sweeps in two retries' time, want three", n)
		}
		w.err.Store(nil)
		if n := w.after(time.Hour); n != 4 {
			t.Errorf("%d sweeps, want one that succeeds", n)
		}
		if err := w.end(); err != nil {
			t.Errorf("the node ends with %v", err)
		}
	})
}
