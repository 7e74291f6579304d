// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"
	"google.golang.org/grpc/status"

	"github.com/dyno-kv/dyno/bench/lockload"
)

// service is etcd's locks. Sessions are spread over its clients, each of which has a
// connection to each server, and a stream of its own for renewals.
type service struct {
	clients []*clientv3.Client
	next    atomic.Uint64
}

func dial(endpoints []string, conns int) (*service, error) {
	s := &service{}
	for i := range max(conns, 1) {
		// The first endpoint is where a client's stream goes.
		at := i % len(endpoints)
		own := append(append([]string{}, endpoints[at:]...), endpoints[:at]...)
		c, err := clientv3.New(clientv3.Config{
			Endpoints: own, DialTimeout: 10 * time.Second, Logger: zap.NewNop(),
		})
		if err != nil {
			s.close()
			return nil, err
		}
		s.clients = append(s.clients, c)
	}
	return s, nil
}

func (s *service) close() {
	for _, c := range s.clients {
		_ = c.Close() // its sessions are closed
	}
}

// Open implements lockload.Service.
func (s *service) Open(ctx context.Context, ttl time.Duration) (lockload.Session, error) {
	c := s.clients[s.next.Add(1)%uint64(len(s.clients))]
	grant, err := c.Grant(ctx, int64(ttl/time.Second))
	if err != nil {
		return nil, err
	}
	own, err := concurrency.NewSession(c, concurrency.WithLease(grant.ID))
	if err != nil {
		return nil, err
	}
	return &session{own}, nil
}

// Code implements lockload.Service.
func (s *service) Code(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, concurrency.ErrSessionExpired):
		return "session expired"
	}
	return status.Code(err).String()
}

// session is one of etcd's.
type session struct{ *concurrency.Session }

// Lock implements lockload.Session. The revision is the fence that etcd's documents advise.
func (s *session) Lock(
	ctx context.Context, name string,
) (uint64, lockload.Unlock, error) {
	m := concurrency.NewMutex(s.Session, name)
	if err := m.Lock(ctx); err != nil {
		return 0, nil, err
	}
	return uint64(m.Header().Revision), m.Unlock, nil
}

// Close implements lockload.Session.
func (s *session) Close(ctx context.Context) error {
	s.Orphan() // ends its renewals
	_, err := s.Client().Revoke(ctx, s.Lease())
	return err
}
