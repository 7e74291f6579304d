// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/wire"
)

// Repairs are this node's comparisons with the other owners of its partitions.
type Repairs interface {
	// Status tells how they stand in a round, 0: in the newest.
	Status(round uint64) wire.RepairStatusResult
	// Begin begins a round.
	Begin() (round uint64)
	// Wait returns the status when the round is done, or ctx ends.
	Wait(ctx context.Context, round uint64) wire.RepairStatusResult
	Pause(time.Duration) error
	Resume()
	// Partitions tells what this node's own copies of its partitions hold.
	Partitions() wire.RingPartitionsResult
	// AcceptLoss takes an operator's word about the refill of this node's store.
	AcceptLoss(ctx context.Context, q *wire.AcceptLossRequest) error
}

// repairMethods are those of the feature `repair`, where the node has it.
func (s *Server) repairMethods() []method {
	if !s.parts.Repairing {
		return nil
	}
	return []method{
		{name: wire.MethodRepairStatus, handle: s.handleRepairStatus, data: true},
		{name: wire.MethodRepairRun, handle: s.handleRepairRun, data: true},
		// Those who wait shall not keep others from their keys: they pass the gate of waits.
		{name: wire.MethodRepairWait, handle: s.handleRepairWait, data: true, gate: s.attempts},
		{name: wire.MethodRepairPause, handle: s.handleRepairPause, data: true},
		{name: wire.MethodRepairResume, handle: s.handleRepairResume, data: true},
		{name: wire.MethodRingPartitions, handle: s.handleRingPartitions, data: true},
		{
			name: wire.MethodRepairAcceptLoss, handle: s.handleAcceptLoss, data: true,
			gate: s.decisions,
		},
	}
}

func (s *Server) repairs() Repairs { return s.data.Load().Repairs }

// repairStatus encodes a status.
func repairStatus(a wire.RepairStatusResult) encoder {
	return func(dst []byte) []byte { return wire.AppendRepairStatusResult(dst, &a) }
}

// handleRepairStatus answers repair.status.
func (s *Server) handleRepairStatus(_ context.Context, req *request) (encoder, error) {
	if err := decodeEmpty(req); err != nil {
		return nil, err
	}
	return repairStatus(s.repairs().Status(0)), nil
}

// handleRepairRun answers repair.run.
func (s *Server) handleRepairRun(_ context.Context, req *request) (encoder, error) {
	if err := decodeEmpty(req); err != nil {
		return nil, err
	}
	r := s.repairs()
	return repairStatus(r.Status(r.Begin())), nil
}

// handleRepairWait answers repair.wait: when the round is done, or a little before the
// request's time is over, so that the client hears how far it is. It waits outside of the
// connection's window.
func (s *Server) handleRepairWait(ctx context.Context, req *request) (encoder, error) {
	var q wire.RepairWaitRequest
	if err := wire.DecodeRepairWaitRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	if !req.leaveWindow() {
		return nil, errNoPlace
	}
	defer context.AfterFunc(s.draining, cancel)()
	ctx, cancel = inTime(ctx)
	defer cancel()
	return repairStatus(s.repairs().Wait(ctx, q.Round)), nil
}

// handleRepairPause answers repair.pause.
func (s *Server) handleRepairPause(_ context.Context, req *request) (encoder, error) {
	var q wire.RepairPauseRequest
	if err := wire.DecodeRepairPauseRequest(req.params, &q); err != nil {
		return nil, err
	}
	req.trace = q.Trace
	if err := s.repairs().Pause(time.Duration(q.ForMS) * time.Millisecond); err != nil {
		return nil, &coordinator.Error{Code: wire.CodeInvalid, Text: err.Error(), Err: err}
	}
	return wire.AppendEmptyResult, nil
}

// handleRepairResume answers repair.resume.
func (s *Server) handleRepairResume(_ context.Context, req *request) (encoder, error) {
	if err := decodeEmpty(req); err != nil {
		return nil, err
	}
	s.repairs().Resume()
	return wire.AppendEmptyResult, nil
}

// handleRingPartitions answers ring.partitions.
func (s *Server) handleRingPartitions(_ context.Context, req *request) (encoder, error) {
	if err := decodeEmpty(req); err != nil {
		return nil, err
	}
	result := s.repairs().Partitions()
	return func(dst []byte) []byte { return wire.AppendRingPartitionsResult(dst, &result) }, nil
}

// handleAcceptLoss answers repair.accept_loss.
func (s *Server) handleAcceptLoss(ctx context.Context, req *request) (encoder, error) {
	var q wire.AcceptLossRequest
	if err := wire.DecodeAcceptLossRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	ctx, cancel = inTime(ctx)
	defer cancel()
	if err := s.repairs().AcceptLoss(ctx, &q); err != nil {
		return nil, err
	}
	return wire.AppendEmptyResult, nil
}
