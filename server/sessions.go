// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"time"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/wire"
)

// errNoPlace: a call that waits may not leave the connection's window.
var errNoPlace = errors.New("server: too many calls of this connection wait")

// handleSessionOpen answers session.open.
func (s *Server) handleSessionOpen(ctx context.Context, req *request) (encoder, error) {
	var q wire.SessionOpenRequest
	if err := wire.DecodeSessionOpenRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	if q.Session == ([16]byte{}) {
		q.Session = newID()
	}
	result, err := s.decide(ctx, state.SessionOpen{
		ID: q.Session, Name: q.Name, Owner: s.parts.Cluster.Identity().Node,
		TTL: time.Duration(q.TTLMS) * time.Millisecond,
	})
	if result.Lock.Code == locks.CodeConflict {
		return nil, &coordinator.Error{Code: wire.CodeExists, Text: result.Lock.Detail}
	}
	if err != nil {
		return nil, err
	}
	answer := wire.SessionOpenResult{
		Session: q.Session, TTLMS: uint32(result.Lock.TTL.Milliseconds()),
	}
	return func(dst []byte) []byte { return wire.AppendSessionOpenResult(dst, &answer) }, nil
}

// handleKeepAlive answers session.keepalive. It waits for the batch that carries the
// renewal, a part of the session's TTL, and so outside of the connection's window.
func (s *Server) handleKeepAlive(ctx context.Context, req *request) (encoder, error) {
	var q wire.SessionRequest
	if err := wire.DecodeSessionRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	g, err := s.group()
	switch {
	case err != nil:
		return nil, err
	case !req.leaveWindow():
		return nil, errNoPlace
	}
	err = g.Renew(ctx, q.Session)
	if err != nil && s.draining.Err() != nil && !errors.Is(err, meta.ErrSessionExpired) {
		return nil, errGateClosed // another node renews it; nothing is stored by this
	}
	return wire.AppendEmptyResult, err
}

// handleSessionClose answers session.close.
func (s *Server) handleSessionClose(ctx context.Context, req *request) (encoder, error) {
	var q wire.SessionRequest
	if err := wire.DecodeSessionRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	_, err = s.decide(ctx, state.SessionClose{ID: q.Session})
	return wire.AppendEmptyResult, err
}

// handleSessionList answers session.list.
func (s *Server) handleSessionList(ctx context.Context, req *request) (encoder, error) {
	var q wire.PrefixRequest
	if err := wire.DecodePrefixRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	at, err := wire.OpenNameCursor(q.Cursor, req.method, q.Prefix)
	if err != nil {
		return nil, err
	}
	var page []locks.Session
	var result wire.SessionListResult
	err = s.show(ctx, q.Stale, func(st *state.State) {
		result.Index = st.Index()
		after := locks.SessionKey{Name: at.Name, ID: at.Session}
		page = st.Locks().Sessions(q.Prefix, after, int(q.Limit))
	})
	if err != nil {
		return nil, err
	}
	for i := range page {
		l := &page[i]
		result.Sessions = append(result.Sessions, wire.SessionInfo{
			Session: l.ID, Name: l.Name, Owner: l.Owner, TTLMS: uint32(l.TTL.Milliseconds()),
			Since: l.Created,
		})
	}
	if len(page) == int(q.Limit) {
		last := &page[len(page)-1]
		result.Cursor = wire.AppendNameCursor(nil,
			wire.NameCursor{Name: last.Name, Session: last.ID}, req.method, q.Prefix)
	}
	return func(dst []byte) []byte { return wire.AppendSessionListResult(dst, &result) }, nil
}
