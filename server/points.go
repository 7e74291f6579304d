// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/rpc"
)

// The failpoints of the ports. Requests that never wait pass none: they run where others
// are read.
const (
	// PointRequest: a client's request was admitted, and is about to be worked on. An
	// error refuses it with OVERLOADED.
	PointRequest = "server/before-request"
	// PointAnswer: a client is about to be answered. An error ends its connection instead.
	PointAnswer = "server/before-answer"
	// PointPeerRequest: a peer's call was admitted, and is about to be worked on. An error
	// refuses it with OVERLOADED.
	PointPeerRequest = "server/before-peer-request"
	// PointPeerAnswer: a peer is about to be answered. An error ends its connection.
	PointPeerAnswer = "server/before-peer-answer"
)

// Points lists the failpoints of the ports.
func Points() []fail.Point {
	return []fail.Point{
		{Name: PointRequest, Fails: true},
		{Name: PointAnswer, Fails: true},
		{Name: PointPeerRequest, Fails: true},
		{Name: PointPeerAnswer, Fails: true},
	}
}

// hitRequest passes a point before work begins.
func (s *Server) hitRequest(point string) error {
	if err := s.cfg.Points.Hit(point); err != nil {
		return fmt.Errorf("%w: %w", errGateFull, err)
	}
	return nil
}

// hitAnswer passes a point before a call is answered. Where its connection has ended, the
// answer goes to nobody.
func (s *Server) hitAnswer(point string, call *rpc.Call) {
	if err := s.cfg.Points.Hit(point); err != nil {
		call.Conn().Break(err)
	}
}
