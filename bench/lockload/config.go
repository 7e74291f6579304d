// SPDX-License-Identifier: Apache-2.0

package lockload

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Service is what is put under load. Several goroutines call it.
type Service interface {
	// Open opens a session that is kept alive until it is closed.
	Open(ctx context.Context, ttl time.Duration) (Session, error)
	// Code names an error in few words.
	Code(err error) string
}

// Session holds locks. One goroutine at a time asks it for any.
type Session interface {
	// Lock waits until the lock is granted. The fence orders the grants of a name.
	Lock(ctx context.Context, name string) (fence uint64, unlock Unlock, err error)
	// Done is closed when the session is lost.
	Done() <-chan struct{}
	Close(ctx context.Context) error
}

// Unlock gives a lock back.
type Unlock func(ctx context.Context) error

// Cluster is the servers below a service, where they can be killed.
type Cluster interface {
	// Kill kills the leader at once, and says what brings it back: the time of its death is
	// that of Kill's return. Start returns when the server is a member that follows.
	Kill(ctx context.Context) (start func(context.Context) error, err error)
}

// Limits of a configuration.
const (
	maxClients  = 10_000
	maxSessions = 200_000
	maxRounds   = 1_000
)

// Config describes a run.
type Config struct {
	// System names the service in reports.
	System string
	// Clients is how many clients there are, each with a session; of Keep: how many
	// sessions.
	Clients int
	// Prefix begins the names of locks.
	Prefix string
	// TTL is that of sessions.
	TTL time.Duration
	// WarmUp runs before Duration is measured.
	WarmUp, Duration time.Duration
	// Rounds is how often the leader is killed. Try bounds one attempt at a lock then, after
	// which the next one is made; 0: the service's client asks again by itself.
	Rounds int
	Try    time.Duration
	// Timeout bounds each request.
	Timeout time.Duration
	// ServerPIDs are processes whose processor time and memory are reported; LeaderPID is
	// which of them leads, 0 where that is not known.
	ServerPIDs []int
	LeaderPID  int
}

// Validate returns every fault of c, joined.
func (c *Config) Validate() error {
	var faults []error
	add := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	add(c.Clients >= 1, "%d clients, must be at least 1", c.Clients)
	add(c.TTL >= time.Second, "time to live %v, must be at least 1 s", c.TTL)
	add(c.WarmUp >= 0, "warm-up %v must not be negative", c.WarmUp)
	add(c.Try >= 0, "bound of a try %v must not be negative", c.Try)
	add(c.Timeout > 0, "timeout %v must be above 0", c.Timeout)
	return errors.Join(faults...)
}

// timed is what scenarios need that last for a time.
func (c *Config) timed(most int) error {
	err := c.Validate()
	if c.Clients > most {
		err = errors.Join(err, fmt.Errorf("%d clients, must be at most %d", c.Clients, most))
	}
	if c.Duration <= 0 {
		err = errors.Join(err, fmt.Errorf("duration %v must be above 0", c.Duration))
	}
	return err
}
