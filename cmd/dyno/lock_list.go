// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

// lockOutput is a lock in JSON.
type lockOutput struct {
	Name string `json:"lock"`
	// Kind is empty where the lock is free.
	Kind    string         `json:"kind"`
	Holders []holderOutput `json:"holders"`
	Waiters []waiterOutput `json:"waiters"`
	// HolderCount and WaiterCount count those as well that are not listed.
	HolderCount int `json:"holder_count"`
	WaiterCount int `json:"waiter_count"`
}

type holderOutput struct {
	Session string `json:"session"`
	Holder  uint64 `json:"holder"`
	Fence   uint64 `json:"fence"`
	Since   uint64 `json:"since_index"`
	blob
}

type waiterOutput struct {
	Session string `json:"session"`
	Holder  uint64 `json:"holder"`
	Kind    string `json:"kind"`
	Since   uint64 `json:"since_index"`
}

// locksOutput is what `dyno lock list -o json` prints.
type locksOutput struct {
	head
	Locks []lockOutput `json:"locks"`
}

// lockShowOutput is what `dyno lock show -o json` prints.
type lockShowOutput struct {
	head
	lockOutput
}

func newLockOutput(l *client.LockInfo) lockOutput {
	out := lockOutput{
		Name: l.Name, Kind: string(l.Kind), Holders: []holderOutput{}, Waiters: []waiterOutput{},
		HolderCount: max(int(l.HolderCount), len(l.Holders)),
		WaiterCount: max(int(l.WaiterCount), len(l.Waiters)),
	}
	for i := range l.Holders {
		h := &l.Holders[i]
		out.Holders = append(out.Holders, holderOutput{
			Session: sessionText(h.Session), Holder: h.Holder, Fence: uint64(h.Fence),
			Since: h.Since, blob: newBlob(h.Value),
		})
	}
	for _, w := range l.Waiters {
		out.Waiters = append(out.Waiters, waiterOutput{
			Session: sessionText(w.Session), Holder: w.Holder, Kind: string(w.Kind), Since: w.Since,
		})
	}
	return out
}

// staleFlag lets a command do without the group's leader.
func staleFlag(c *cobra.Command, stale *bool) {
	c.Flags().BoolVar(stale, "stale", false,
		"take what a node knows, which may lag behind, and do without the group's leader")
}

func staleOption(stale bool) []client.Option {
	if stale {
		return []client.Option{client.WithStale()}
	}
	return nil
}

func (a *app) lockListCommand() *cobra.Command {
	var stale bool
	c := &cobra.Command{
		Use:     "list [PREFIX]",
		Short:   "List the locks that are held",
		Long:    "Lists the locks that are held, in order of their names. Free locks do not exist.",
		Example: "  dyno lock list\n  dyno lock list jobs/ -o json",
		Args:    takes(0, 1),
	}
	staleFlag(c, &stale)
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
		prefix := ""
		if len(args) > 0 {
			prefix = args[0]
		}
		return a.listLocks(ctx, c, prefix, staleOption(stale))
	}))
	return c
}

func (a *app) listLocks(
	ctx context.Context, c *client.Client, prefix string, opts []client.Option,
) error {
	out := locksOutput{head: newHead(), Locks: []lockOutput{}}
	t := a.newTable("lock", "kind", "holders", "waiters", "fence", "holder")
	for l, err := range c.Locks(ctx, prefix, append(opts, client.WithLimit(maxPage))...) {
		if err != nil {
			return err
		}
		o := newLockOutput(&l)
		out.Locks = append(out.Locks, o)
		fence, holder := any("-"), "-"
		if len(l.Holders) > 0 { // the first; 'dyno lock show' has them all
			fence, holder = uint64(l.Holders[0].Fence), holderText(&l.Holders[0])
		}
		t.row(shown([]byte(l.Name)), o.Kind, o.HolderCount, o.WaiterCount, fence, holder)
	}
	if a.form == formJSON {
		return a.printJSON(out)
	}
	return t.print()
}

// holderText is how people are shown a holder: by what it says of itself.
func holderText(h *client.LockHolder) string {
	const most = 48
	if n := len(h.Value); n > 0 && n <= most {
		return shown(h.Value)
	}
	return sessionShort(h.Session)
}

func (a *app) lockShowCommand() *cobra.Command {
	var stale bool
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Show who holds a lock and who waits for it",
		Long: `Shows who holds a lock, with the fence of each grant, and who waits for it. That a lock is
free is no error.`,
		Example: "  dyno lock show jobs/compact",
		Args:    takes(1, 1),
	}
	staleFlag(c, &stale)
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
		l, err := c.Lock(ctx, args[0], staleOption(stale)...)
		if err != nil {
			return err
		}
		return a.showLock(&l)
	}))
	return c
}

func (a *app) showLock(l *client.LockInfo) error {
	out := newLockOutput(l)
	switch {
	case a.form == formJSON:
		return a.printJSON(lockShowOutput{newHead(), out})
	case out.HolderCount+out.WaiterCount == 0:
		return a.printf("%s is free\n", shown([]byte(l.Name)))
	}
	t := a.newTable("place", "kind", "fence", "session", "number", "holder")
	for i := range l.Holders {
		h := &l.Holders[i]
		t.row("holds", out.Kind, uint64(h.Fence), sessionShort(h.Session), h.Holder,
			dash(shownValue(h.Value)))
	}
	for i, w := range l.Waiters {
		t.row(i+1, string(w.Kind), "-", sessionShort(w.Session), w.Holder, "-")
	}
	if err := t.print(); err != nil {
		return err
	}
	if more := out.HolderCount + out.WaiterCount - len(l.Holders) - len(l.Waiters); more > 0 {
		return a.printf("... and %d more\n", more)
	}
	return nil
}

// shownValue is what a holder says of itself; empty where it says nothing.
func shownValue(v []byte) string {
	if len(v) == 0 {
		return ""
	}
	return shown(v)
}
