// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/wire"
)

// Purges takes this node's steps of purge rounds.
type Purges interface {
	Take(ctx context.Context, method string, req *wire.PurgeRequest) wire.PurgeReply
}

// peerPurge takes a step of a purge round that a peer leads.
func (s *Server) peerPurge(j *peerJob) error {
	purges := s.data.Load().Purges
	if purges == nil {
		return &coordinator.Error{
			Code: wire.CodeUnknownMethod, Text: "this node takes part in no purge rounds",
		}
	}
	var req wire.PurgeRequest
	if err := wire.DecodePurgeRequest(j.call.Params, &req); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(j.ctx, time.Duration(req.RemainingMS)*time.Millisecond)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	reply := purges.Take(ctx, string(j.call.Method), &req)
	j.answer(func(dst []byte) []byte { return wire.AppendPurgeReply(dst, &reply) })
	return nil
}
