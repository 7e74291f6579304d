// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/rpc"
)

// clientJob is a client's request on its way to its answer.
type clientJob struct {
	server *Server
	ctx    context.Context
	call   *rpc.Call
	method method
	size   int // as the gate counts it
	request
}

// handleClient is called for each client request, on its connection's goroutine.
func (s *Server) handleClient(ctx context.Context, call *rpc.Call) {
	m, found := s.methods[string(call.Method)]
	if !found {
		text := unknownMethod(call.Method)
		s.strangers.observe(text, 0)
		call.ReplyError(text)
		return
	}
	j := &clientJob{
		server: s, ctx: ctx, call: call, method: m,
		request: request{
			method: m.name, params: call.Params, arrived: time.Now(), park: call.Park,
		},
	}
	if m.quick {
		j.answer()
		return
	}
	j.size = len(j.params)
	switch m.reads {
	case readsOne:
		j.size += s.reads.guess()
	case readsPage:
		j.size += pageRead
	}
	err := s.checkData(m.data)
	if err == nil {
		err = m.gate.enter(j.size)
	}
	if err != nil {
		j.fail(err)
		return
	}
	s.workers.start(j)
}

func (j *clientJob) run() {
	defer j.method.gate.leave(j.size)
	if err := j.server.hitRequest(PointRequest); err != nil {
		j.fail(err)
		return
	}
	j.answer()
}

// fail answers a request that has not begun.
func (j *clientJob) fail(err error) {
	text := j.server.errorText(&j.request, err)
	j.method.stats.observe(text, time.Since(j.arrived))
	j.call.ReplyError(text)
}

func (j *clientJob) answer() {
	result, err := j.method.handle(j.ctx, &j.request)
	took := time.Since(j.arrived)
	// Those who wait for something else than their keys pass other gates.
	if j.method.data && j.method.gate == j.server.requests && j.server.parts.Waited != nil {
		j.server.parts.Waited(took)
	}
	if !j.method.quick {
		j.server.hitAnswer(PointAnswer, j.call)
	}
	if err != nil {
		text := j.server.errorText(&j.request, err)
		j.method.stats.observe(text, took)
		j.server.logDone(&j.request, text)
		j.call.ReplyError(text)
		return
	}
	j.method.stats.observe("", took)
	j.server.logDone(&j.request, "")
	j.call.Reply(result)
}

// logDone echoes the client's trace.
func (s *Server) logDone(req *request, failure string) {
	if entry := s.log.Check(zap.DebugLevel, "request"); entry != nil {
		entry.Write(zap.String("method", req.method), zap.String("trace", req.trace),
			zap.Bool("forwarded", req.forwarded), zap.Duration("took", time.Since(req.arrived)),
			zap.String("failure", failure))
	}
}
