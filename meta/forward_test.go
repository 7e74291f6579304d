// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

func TestAFailedCommandSaysWhetherItMayHaveBeenProposed(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(*rig, *counting)
		want error
	}{
		{"no leader", func(r *rig, _ *counting) { r.log.depose() }, ErrNoLeader},
		{"nobody is reached", func(r *rig, _ *counting) {
			r.net.Kill("n1")
			r.net.Kill("n2")
			r.net.Kill("n3")
		}, ErrNoLeader},
		{"not sent", func(_ *rig, calls *counting) {
			calls.failing(func(string) error { return rpc.ErrNotSent })
		}, ErrNoLeader},
		{"the leader drains", func(_ *rig, calls *counting) {
			calls.failing(func(string) error {
				return &rpc.RemoteError{Text: wire.FormatError(wire.CodeShuttingDown, "")}
			})
		}, ErrNoLeader},
		{"an answer is lost, then there is no leader", func(r *rig, calls *counting) {
			calls.failing(func(method string) error {
				if method != wire.MethodMetaPropose {
					return nil // the tail's
				}
				calls.failing(nil)
				r.log.depose()
				return rpc.ErrUnanswered
			})
		}, ErrUnknown},
		{"an inner error", func(_ *rig, calls *counting) {
			calls.failing(func(string) error {
				return &rpc.RemoteError{Text: wire.FormatError(wire.CodeInternal, "")}
			})
		}, ErrUnknown},
		{"the leader is paused", func(r *rig, _ *counting) {
			for _, n := range r.nodes[:3] {
				n.pause()
			}
		}, ErrUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 3, 1, nil)
				n := r.nodes[3]
				calls := n.calls
				n.open(1, time.Hour)
				r.anyKilled = true
				c.harm(r, calls)
				time.Sleep(100 * time.Millisecond) // connections that end have ended
				began := time.Now()
				_, err := n.Do(r.ctx, state.SessionClose{ID: locks.SessionID{1}})
				other := ErrNoLeader
				if c.want == other {
					other = ErrUnknown
				}
				if !errors.Is(err, c.want) || errors.Is(err, other) {
					t.Errorf("the error is %v, not %v", err, c.want)
				}
				if took := time.Since(began); took > n.cfg.CallTimeout+time.Millisecond {
					t.Errorf("it took %v", took)
				}
				for _, n := range r.nodes[:3] {
					if n.seat.paused() {
						n.resume()
					}
				}
			})
		})
	}
}

func TestACommandFindsTheNextLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 2, nil)
		for _, n := range r.nodes {
			n.open(byte(n.cfg.Node), time.Hour)
		}
		r.nodes[0].pause() // the hint of the clients leads nowhere
		time.AfterFunc(2*time.Second, func() { r.log.elect(r.nodes[1].seat) })
		for _, n := range r.nodes[3:] {
			ctx, cancel := context.WithTimeout(r.ctx, 4*time.Second)
			if _, err := n.Do(ctx, state.SessionClose{ID: locks.SessionID{1}}); err != nil {
				t.Errorf("node %d: %v", n.cfg.Node, err)
			}
			cancel()
		}
		r.nodes[0].resume()
	})
}

func TestTheLeaderRefusesToProposeWhatIsNoCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		r.nodes[1].open(1, time.Hour)
		before := len(r.nodes[0].seat.proposed)
		_, _, err := r.nodes[1].proposeAt(r.ctx, 1, [][]byte{{250, 1}})
		var told *rpc.RemoteError
		if !errors.As(err, &told) || errors.Is(err, errUnknown) {
			t.Errorf("no command: %v", err)
		}
		if n := len(r.nodes[0].seat.proposed); n != before {
			t.Errorf("%d commands were proposed", n-before)
		}
	})
}

func TestACallOfAMemberThatTakesNoPartIsAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		n := r.nodes[2]
		n.open(1, time.Hour)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		done := make(chan error, 1)
		r.log.depose()
		go func() {
			_, err := n.Do(ctx, state.SessionClose{ID: locks.SessionID{1}})
			done <- err
		}()
		time.Sleep(time.Second)
		r.stop()
		synctest.Wait()
		select {
		case err := <-done:
			if !errors.Is(err, ErrNoLeader) {
				t.Errorf("the error is %v", err)
			}
		default:
			t.Error("the call waits for a group that does not run")
		}
	})
}

func TestBarriersShareConfirmationsThatBeganAfterThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		leader := r.nodes[0]
		r.log.setDelay(100 * time.Millisecond)
		before := leader.seat.confirmations()
		done := make(chan time.Duration, 100)
		began := time.Now()
		for range 100 {
			go func() {
				if _, err := leader.Barrier(r.ctx); err != nil {
					t.Error(err)
				}
				done <- time.Since(began)
			}()
		}
		synctest.Wait()
		time.Sleep(50 * time.Millisecond) // the first confirmation is under way
		if _, err := leader.Barrier(r.ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < 150*time.Millisecond {
			t.Errorf("the last barrier was confirmed by a round before it: after %v", took)
		}
		for range 100 {
			<-done
		}
		if c := leader.seat.confirmations() - before; c > 3 {
			t.Errorf("%d confirmations", c)
		}
	})
}
