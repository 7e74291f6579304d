// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

const lockLong = `A lock is held in a session, which the holder keeps alive; when the holder has
gone for longer than the session's time to live (--ttl) the lock is free. Waiters get it in
their order.

A holder that is paused for longer may go on for a moment after another has the lock. Each
grant has a fence, a number that only grows: let what the holders work on refuse any that is
lower than the highest it has seen.`

func (a *app) lockCommand() *cobra.Command {
	c := a.parent("lock", "Locks: one holder at a time", a.lockRunCommand(),
		a.lockAcquireCommand(), a.lockListCommand(), a.lockShowCommand(), a.lockReleaseCommand())
	c.Long = lockLong
	return c
}

// holding are the flags of commands that get a lock.
type holding struct {
	ttl, wait time.Duration
	try       bool
}

func (h *holding) flags(c *cobra.Command) {
	f := c.Flags()
	f.DurationVar(&h.ttl, "ttl", 15*time.Second,
		"how long the lock stays locked when this command is cut off; 5s to 24h")
	f.DurationVar(&h.wait, "wait", 0, "how long to wait for the lock (default: as long as it takes)")
	f.BoolVar(&h.try, "try", false, "do not wait at all")
	c.MarkFlagsMutuallyExclusive("wait", "try")
}

// hold opens a session and gets the lock in it. The caller closes the session.
func (h *holding) hold(
	ctx context.Context, c *client.Client, name string,
) (*client.Session, *client.Held, error) {
	if h.wait < 0 {
		return nil, nil, usage("--wait %v: must not be negative", h.wait)
	}
	who := whoAmI()
	s, err := c.NewSession(ctx, client.WithTTL(h.ttl), client.WithSessionName(who))
	if err != nil {
		return nil, nil, err
	}
	m, value := s.Mutex(name), client.WithLockValue([]byte(who))
	if h.wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.wait)
		defer cancel()
	}
	lock := m.Lock
	if h.try {
		lock = m.TryLock
	}
	held, err := lock(ctx, value)
	if err != nil {
		closeSession(ctx, s) // the lock is the error to tell
		return nil, nil, err
	}
	return s, held, nil
}

// closeWait is how long a command waits for its session to be closed. What it held has been
// given back before, or is lost.
const closeWait = time.Second

// closeSession ends a session that is not needed any more. Where that fails it ends by
// itself.
func closeSession(ctx context.Context, s *client.Session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWait)
	defer cancel()
	_ = s.Close(ctx)
}

// giveBack ends what hold began. It fails where the lock had been lost before; that the
// group can not be told is no failure of what was done under the lock.
func (a *app) giveBack(ctx context.Context, s *client.Session, held *client.Held) error {
	ctx = context.WithoutCancel(ctx)
	defer closeSession(ctx, s)
	err := held.Unlock(ctx)
	if err != nil && !errors.Is(err, client.ErrLockLost) {
		a.say("dyno: %s is not given back, and stays locked for up to %v: %s", held.Name(),
			s.TTL(), describe(err))
		return nil
	}
	return err
}

// whoAmI is what others are shown of the holder.
func whoAmI() string {
	const most = 200 // so that it fits with the number behind it
	host, err := os.Hostname()
	if err != nil || host == "" || len(host) > most {
		host = "dyno"
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
}

// heldOutput is what `dyno lock acquire -o json` prints.
type heldOutput struct {
	head
	Lock    string `json:"lock"`
	Fence   uint64 `json:"fence"`
	Session string `json:"session"`
}

func (a *app) lockAcquireCommand() *cobra.Command {
	var h holding
	c := &cobra.Command{
		Use:   "acquire NAME",
		Short: "Get a lock, print its fence, and hold it until interrupted",
		Long: `Gets a lock, prints the fence of the grant, and holds the lock until it is interrupted
(Ctrl-C, SIGTERM): then it gives the lock back and ends with 130. It ends with 4 when the
lock is held (--try) or was lost, and with 6 when the wait is over.`,
		Example: "  dyno lock acquire jobs/compact\n  dyno lock acquire jobs/compact --wait 10s",
		Args:    takes(1, 1),
	}
	h.flags(c)
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
		s, held, err := h.hold(ctx, c, args[0])
		if err != nil {
			return err
		}
		if err := a.tellHeld(s, held); err != nil {
			return errors.Join(err, a.giveBack(ctx, s, held))
		}
		select {
		case <-held.Lost():
		case <-ctx.Done():
		}
		if err := a.giveBack(ctx, s, held); err != nil {
			return err // that it was lost matters more than how this ended
		}
		return ctx.Err()
	}))
	return c
}

func (a *app) tellHeld(s *client.Session, held *client.Held) error {
	if a.form == formJSON {
		return a.printJSON(heldOutput{
			head: newHead(), Lock: held.Name(), Fence: held.Fence(), Session: s.ID().String(),
		})
	}
	return a.printf("%d\n", held.Fence())
}

func (a *app) lockReleaseCommand() *cobra.Command {
	var force bool
	var fence uint64
	var reason string
	c := &cobra.Command{
		Use:   "release NAME",
		Short: "Take a lock from its holder",
		Long: `Takes a lock from its holder, for the next in the queue: for holders that hang and go on
renewing their session. The holder is not told, and may go on: only what checks fences keeps
it from doing harm. It ends with 4 where the grant of that fence is not held any more.`,
		Example: "  dyno lock release jobs/compact --force --fence 281474976710672 --reason 'hangs'",
		Args:    takes(1, 1),
	}
	f := c.Flags()
	f.BoolVar(&force, "force", false, "say that this is meant; holders release by themselves")
	f.Uint64Var(&fence, "fence", 0, "the fence of the grant, as 'dyno lock show' has it")
	f.StringVar(&reason, "reason", "", "why, for the group's log")
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
		switch {
		case !force:
			return usage("only its holder releases a lock; --force takes it from the holder")
		case fence == 0:
			return usage("--fence is needed: 'dyno lock show %s' has it", args[0])
		}
		released, err := c.ForceRelease(ctx, args[0], fence, reason)
		if err == nil && !released {
			err = failWith(exitConflict, "%s is not held under fence %d (any more); nothing is released",
				shown([]byte(args[0])), fence)
		}
		if err == nil && a.form == formJSON {
			err = a.printJSON(heldOutput{head: newHead(), Lock: args[0], Fence: fence})
		}
		return err
	}))
	return c
}

// sessionText is the id of a session; what people are shown is its beginning.
func sessionText(id [16]byte) string { return hex.EncodeToString(id[:]) }

func sessionShort(id [16]byte) string { return sessionText(id)[:8] }
