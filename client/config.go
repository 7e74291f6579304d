// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// Dialer opens a connection to HOST:PORT. It must heed its context.
type Dialer = rpc.Dialer

// Config says how a client reaches a cluster, and how long it tries.
type Config struct {
	// Endpoints are client addresses of some nodes, HOST:PORT each, 1 to 64. The rest of
	// the cluster is learned from them; two or three that rarely go away are enough.
	Endpoints []string
	// Name is told to the nodes, for their logs; at most 255 bytes.
	Name string
	// Dial opens connections. nil: TCP.
	Dial Dialer
	// TLS is this side of TLS; nil: plain TCP. Where it has no ServerName, the host of
	// the address is used.
	TLS *tls.Config
	// Timeout bounds a request with all its attempts, where the context of the call ends
	// no sooner. 1 ms to 1 h.
	Timeout time.Duration
	// TryTimeout bounds one attempt: how long a node may be silent before another is
	// asked; a quarter of it, but at least 250 ms, where it is the connection that is not
	// there. A write goes to the same node once more before that. At least 1 ms; longer
	// than Timeout means that there is no such bound. A request that is not sent again in
	// any case has all of Timeout.
	TryTimeout time.Duration
	// DialTimeout bounds each step of connecting: dial, TLS handshake, hello.
	DialTimeout time.Duration
	// Retry bounds the attempts.
	Retry RetryConfig
	// ConnsPerNode is how many connections are kept to a node, 1 to 16. One batches best;
	// more help where one core can not keep up with a connection, or where more than the
	// 256 requests that a node takes from one connection are to be under way.
	ConnsPerNode int
	// Logger is for connections that come and go; never nil. Requests are not logged.
	Logger *zap.Logger
	// Rand draws request ids and the jitter of pauses; the client owns it. nil: a source
	// of cryptographic quality with a seed of its own. Two clients that draw the same ids
	// lose writes: a seed of one's own is for simulations.
	Rand *rand.Rand
}

// RetryConfig bounds the attempts of one request.
type RetryConfig struct {
	// Attempts is how often a request is sent at most, the first time included, 1 to 64.
	// 1: never again. What the metadata group carries out (sessions, locks, buckets) is
	// sent as often as its time allows, unless this is 1. Waits for locks and the renewals of
	// sessions go on in any case.
	Attempts int
	// PauseMin and PauseMax bound the pause before an attempt that should not be made at
	// once: doubled from the one to the other, less a random part of up to a half.
	PauseMin, PauseMax time.Duration
}

// DefaultConfig leaves Endpoints to be set.
func DefaultConfig() Config {
	return Config{
		Name:        "dyno-go",
		Timeout:     wire.DefaultTimeoutMS * time.Millisecond,
		TryTimeout:  2 * time.Second,
		DialTimeout: 2 * time.Second,
		Retry: RetryConfig{
			Attempts: 8, PauseMin: 20 * time.Millisecond, PauseMax: 500 * time.Millisecond,
		},
		ConnsPerNode: 1,
		Logger:       zap.NewNop(),
	}
}

const (
	maxEndpoints    = 64
	maxAttempts     = 64
	maxConnsPerNode = 16
	maxTimeout      = time.Hour
)

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("client: "+format, args...))
		}
	}
	check(len(c.Endpoints) >= 1 && len(c.Endpoints) <= maxEndpoints,
		"%d endpoints, must be 1 to %d", len(c.Endpoints), maxEndpoints)
	for _, e := range c.Endpoints {
		_, _, err := net.SplitHostPort(e)
		check(err == nil, "endpoint %q is not HOST:PORT", e)
	}
	check(len(c.Name) <= wire.MaxName, "Name has %d bytes, at most %d", len(c.Name), wire.MaxName)
	check(c.Timeout >= time.Millisecond && c.Timeout <= maxTimeout,
		"Timeout is %v, must be 1ms to %v", c.Timeout, maxTimeout)
	check(c.TryTimeout >= time.Millisecond, "TryTimeout is %v, must be at least 1ms", c.TryTimeout)
	check(c.DialTimeout > 0, "DialTimeout is %v, must be positive", c.DialTimeout)
	check(c.Retry.Attempts >= 1 && c.Retry.Attempts <= maxAttempts,
		"Retry.Attempts is %d, must be 1 to %d", c.Retry.Attempts, maxAttempts)
	check(c.Retry.PauseMin > 0 && c.Retry.PauseMin <= c.Retry.PauseMax,
		"pauses are %v to %v, must be positive and in order", c.Retry.PauseMin, c.Retry.PauseMax)
	check(c.ConnsPerNode >= 1 && c.ConnsPerNode <= maxConnsPerNode,
		"ConnsPerNode is %d, must be 1 to %d", c.ConnsPerNode, maxConnsPerNode)
	check(c.Logger != nil, "Logger is nil; zap.NewNop() logs nothing")
	return errors.Join(faults...)
}

func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}
