// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/wire"
)

// fakeRepairs is repairs whose rounds end when the test says so.
type fakeRepairs struct {
	mu     sync.Mutex // guards what follows
	round  uint64
	paused time.Duration
	ended  chan struct{}
	words  []wire.AcceptLossRequest
}

var errTooLong = errors.New("too long")

func (f *fakeRepairs) Status(round uint64) wire.RepairStatusResult {
	f.mu.Lock()
	defer f.mu.Unlock()
	if round == 0 {
		round = f.round
	}
	s := wire.RepairStatusResult{
		Node: "n1", Round: round, Pairs: 2, PausedMS: uint64(f.paused.Milliseconds()), Never: true,
	}
	select {
	case <-f.ended:
		s.Settled = 2
	default:
	}
	return s
}

func (f *fakeRepairs) Begin() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.round++
	return f.round
}

func (f *fakeRepairs) Wait(ctx context.Context, round uint64) wire.RepairStatusResult {
	select {
	case <-f.ended:
	case <-ctx.Done():
	}
	return f.Status(round)
}

func (f *fakeRepairs) Pause(d time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d > time.Hour {
		return errTooLong
	}
	f.paused = d
	return nil
}

func (f *fakeRepairs) Resume() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = 0
}

func (f *fakeRepairs) Partitions() wire.RingPartitionsResult {
	return wire.RingPartitionsResult{
		Node: "n1", Partitions: []wire.PartitionContents{{Partition: 1, Known: true, Keys: 2}, {}},
		Reason: "being built",
	}
}

func TestContentsOfPartitionsAreToldAsTheNodeKnowsThem(t *testing.T) {
	inBubble(t, shape{repairs: true}, func(t *testing.T, f *fixture) {
		got, err := asked(f.client(), wire.MethodRingPartitions, wire.EmptyRequest{},
			wire.AppendEmptyRequest, wire.DecodeRingPartitionsResult)
		if want := f.repairs.Partitions(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	})
}

func (f *fakeRepairs) AcceptLoss(_ context.Context, q *wire.AcceptLossRequest) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if q.Instance == 0 {
		return &coordinator.Error{Code: wire.CodeInvalid, Text: "there is no loss"}
	}
	if len(q.Without) == 0 {
		return meta.ErrNoLeader
	}
	f.words = append(f.words, *q)
	return nil
}

// What a node answers to an operator's word about its loss, and how it is told.
func TestALossIsAcceptedWhereTheNodeTakesTheWord(t *testing.T) {
	inBubble(t, shape{repairs: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		say := func(q wire.AcceptLossRequest) error {
			_, err := asked(c, wire.MethodRepairAcceptLoss, q, wire.AppendAcceptLossRequest,
				func(b []byte, _ *struct{}) error { return wire.DecodeEmptyResult(b) })
			return err
		}
		wantCode(t, "a word that is refused", say(wire.AcceptLossRequest{}), wire.CodeInvalid)
		wantCode(t, "without a leader", say(wire.AcceptLossRequest{Instance: 4}), wire.CodeNoLeader)
		if err := say(wire.AcceptLossRequest{Instance: 4, Without: []string{"n2"}}); err != nil {
			t.Error(err)
		}
		if len(f.repairs.words) != 1 || f.repairs.words[0].Without[0] != "n2" {
			t.Errorf("%+v", f.repairs.words)
		}
		_, err := call(c, wire.MethodRepairAcceptLoss, nil)
		wantCode(t, "a word about no life", err, wire.CodeInvalid)
	})
}

func TestRepairsAreAskedForAndWaitedFor(t *testing.T) {
	inBubble(t, shape{repairs: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		checkFeatures(t, c, []string{wire.FeatureRepair})
		empty := wire.EmptyRequest{}
		status := func(method string) wire.RepairStatusResult {
			t.Helper()
			got, err := asked(c, method, empty, wire.AppendEmptyRequest, wire.DecodeRepairStatusResult)
			if err != nil {
				t.Fatalf("%s: %v", method, err)
			}
			return got
		}
		if got := status(wire.MethodRepairStatus); got.Round != 0 || got.Node != "n1" {
			t.Errorf("%+v", got)
		}
		if got := status(wire.MethodRepairRun); got.Round != 1 {
			t.Errorf("%+v", got)
		}
		wait := wire.RepairWaitRequest{Round: 1}
		wait.TimeoutMS = 10_000
		began := time.Now()
		got, err := asked(c, wire.MethodRepairWait, wait, wire.AppendRepairWaitRequest,
			wire.DecodeRepairStatusResult)
		took := time.Since(began)
		if err != nil || got.Settled != 0 || took < 9*time.Second || took >= 10*time.Second {
			t.Errorf("%+v, %v, after %v", got, err, took)
		}
		time.AfterFunc(2*time.Second, func() { close(f.repairs.ended) })
		began = time.Now()
		got, err = asked(c, wire.MethodRepairWait, wait, wire.AppendRepairWaitRequest,
			wire.DecodeRepairStatusResult)
		if err != nil || got.Settled != 2 || time.Since(began) > 3*time.Second {
			t.Errorf("%+v, %v, after %v", got, err, time.Since(began))
		}
		pause := func(d time.Duration) error {
			_, err := asked(c, wire.MethodRepairPause,
				wire.RepairPauseRequest{ForMS: uint32(d.Milliseconds())}, wire.AppendRepairPauseRequest,
				func(b []byte, _ *struct{}) error { return wire.DecodeEmptyResult(b) })
			return err
		}
		if err := pause(time.Minute); err != nil {
			t.Error(err)
		}
		if got := status(wire.MethodRepairStatus); got.PausedMS != 60_000 {
			t.Errorf("%+v", got)
		}
		wantCode(t, "a pause that is refused", pause(2*time.Hour), wire.CodeInvalid)
		if _, err := call(c, wire.MethodRepairResume, nil); err != nil {
			t.Error(err)
		}
		if got := status(wire.MethodRepairStatus); got.PausedMS != 0 {
			t.Errorf("%+v", got)
		}
		_, err = call(c, wire.MethodRepairPause, nil)
		wantCode(t, "a pause without an end", err, wire.CodeInvalid)
	})
}

// A wait for a round is told how far that is when the node drains.
func TestADrainEndsTheWaitForARound(t *testing.T) {
	inBubble(t, shape{repairs: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		wait := wire.RepairWaitRequest{Round: 1}
		wait.TimeoutMS = 50_000
		began := time.Now()
		time.AfterFunc(time.Second, func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_ = f.server.DrainClients(ctx)
		})
		got, err := asked(c, wire.MethodRepairWait, wait, wire.AppendRepairWaitRequest,
			wire.DecodeRepairStatusResult)
		if err != nil || got.Pairs != 2 || time.Since(began) > 2*time.Second {
			t.Errorf("%+v, %v after %v", got, err, time.Since(began))
		}
	})
}

func TestANodeWithoutRepairsKnowsNoneOfTheMethods(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		_, err := call(f.client(), wire.MethodRepairStatus, nil)
		wantCode(t, "repair.status", err, wire.CodeUnknownMethod)
	})
}
