// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

// hintsOutput is what `dyno hints status -o json` prints.
type hintsOutput struct {
	head
	AnsweredBy string            `json:"answered_by"`
	Nodes      []hintsNodeOutput `json:"nodes"`
}

type hintsNodeOutput struct {
	Node string `json:"node"`
	// Error is why the node did not answer; the rest is 0 then.
	Error string `json:"error,omitempty"`
	// Counted: the numbers hold what the node had when it started.
	Counted bool   `json:"counted"`
	Bytes   uint64 `json:"bytes"`
	Limit   uint64 `json:"limit"`
	// Since the node started.
	Delivered uint64               `json:"delivered"`
	Sent      uint64               `json:"sent_bytes"`
	Refused   uint64               `json:"refused"`
	Unkept    uint64               `json:"unkept"`
	Backlog   []hintsBacklogOutput `json:"backlog"`
}

type hintsBacklogOutput struct {
	Peer          string  `json:"peer"`
	Hints         uint64  `json:"hints"`
	Markers       uint64  `json:"markers"`
	Damaged       uint64  `json:"damaged"`
	Bytes         uint64  `json:"bytes"`
	OldestSeconds float64 `json:"oldest_seconds"`
}

// hintsWaitOutput is what `dyno hints wait -o json` prints.
type hintsWaitOutput struct {
	head
	Done    bool     `json:"done"`
	Hints   uint64   `json:"hints"`
	Markers uint64   `json:"markers"`
	Damaged uint64   `json:"damaged"`
	Bytes   uint64   `json:"bytes"`
	Missing []string `json:"missing"`
	// Stuck are the nodes that keep hints which can not be read, where nothing else is left.
	Stuck []hintsStuckOutput `json:"stuck,omitempty"`
}

type hintsStuckOutput struct {
	Node    string `json:"node"`
	Damaged uint64 `json:"damaged"`
}

const hintsLong = `What an owner misses while it can not be reached is kept for it: by fallbacks as
hints, and where there is no fallback by the owners that coordinated, as markers. Both are
delivered when it is back.`

const hintsStatusLong = `Shows what each node keeps, and for whom:

  hints    objects that a fallback keeps
  markers  notes of an owner that the other lacks what it has itself
  bytes    of both, on the node that keeps them; above its limit hints are refused, and
           markers left to repair
  oldest   the age of the oldest version in a hint
  damaged  hints that can not be read; they are kept`

const hintsWaitLong = `Waits until everything that is older than the command is where it
belongs, on all nodes: hints, markers, and sends that are under way. What was acknowledged
before is then on every owner. While a node is down this can not end; --timeout bounds it, with exit
code 6. Where nothing is left but hints that can not be read it ends with exit code 10, and
says which nodes keep them.

Interrupting it changes nothing: the delivery goes on.`

func (a *app) hintsCommand() *cobra.Command {
	status := &cobra.Command{
		Use: "status", Short: "Show what is kept for whom", Args: takes(0, 0),
		Long: hintsStatusLong, Example: "  dyno hints status\n  dyno hints status -o json",
		RunE: a.does(a.asks(a.hintsStatus)),
	}
	wait := &cobra.Command{
		Use: "wait", Short: "Wait until all that is older was delivered", Args: takes(0, 0),
		Long: hintsWaitLong, Example: "  dyno hints wait\n  dyno hints wait --timeout 10m",
		RunE: a.does(a.asks(a.hintsWait)),
	}
	parent := a.parent("hints", "What is kept for nodes that missed it", status, wait)
	parent.Long = hintsLong
	return parent
}

func (a *app) hintsStatus(ctx context.Context, c *client.Client, _ []string) error {
	s, err := c.HintsStatus(ctx)
	if err != nil {
		return err
	}
	out := &hintsOutput{head: newHead(), AnsweredBy: s.Node, Nodes: []hintsNodeOutput{}}
	for i := range s.Nodes {
		out.Nodes = append(out.Nodes, newHintsNode(&s.Nodes[i]))
	}
	if a.form == formJSON {
		return a.printJSON(out)
	}
	t := a.newTable("node", "for", "hints", "markers", "bytes", "oldest", "damaged", "delivered",
		"state")
	for i := range out.Nodes {
		n := &out.Nodes[i]
		if n.Error != "" {
			t.row(n.Node, "-", "-", "-", "-", "-", "-", "-", n.Error)
			continue
		}
		if len(n.Backlog) == 0 {
			t.row(n.Node, "-", 0, 0, size(0), "-", 0, n.Delivered, n.state())
		}
		for _, b := range n.Backlog {
			t.row(n.Node, b.Peer, b.Hints, b.Markers, size(int64(b.Bytes)), age(b.OldestSeconds),
				b.Damaged, n.Delivered, n.state())
		}
	}
	return t.print()
}

func newHintsNode(n *client.HintsNode) hintsNodeOutput {
	out := hintsNodeOutput{
		Node: n.Node, Error: n.Reason, Counted: n.Counted, Bytes: n.Bytes, Limit: n.Limit,
		Delivered: n.Delivered, Sent: n.Sent, Refused: n.Refused, Unkept: n.Unkept,
		Backlog: []hintsBacklogOutput{},
	}
	for _, b := range n.Backlog {
		out.Backlog = append(out.Backlog, hintsBacklogOutput{
			Peer: b.Peer, Hints: b.Hints, Markers: b.Markers, Damaged: b.Damaged, Bytes: b.Bytes,
			OldestSeconds: float64(b.OldestMS) / 1000,
		})
	}
	return out
}

// state says what is to be known of a node's hints beside the numbers.
func (n *hintsNodeOutput) state() string {
	var said []string
	if !n.Counted {
		said = append(said, "counting")
	}
	if n.Refused > 0 {
		said = append(said, fmt.Sprintf("%d hints refused above %s", n.Refused, size(int64(n.Limit))))
	}
	if n.Unkept > 0 {
		said = append(said, fmt.Sprintf("%d markers left to repair", n.Unkept))
	}
	return dash(strings.Join(said, ", "))
}

// age shows how old something is; "-" for nothing.
func age(seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

func (a *app) hintsWait(ctx context.Context, c *client.Client, _ []string) error {
	if a.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.timeout)
		defer cancel()
	}
	bar := a.newHintsBar()
	most, out := int64(1), &hintsWaitOutput{head: newHead(), Missing: []string{}}
	err := c.HintsWait(ctx, func(p client.HintsProgress) {
		out.Done, out.Hints, out.Markers, out.Bytes = p.Done, p.Hints, p.Markers, p.Bytes
		out.Damaged, out.Missing = p.Damaged, append([]string{}, p.Missing...)
		out.Stuck = nil
		for _, s := range p.Stuck {
			out.Stuck = append(out.Stuck, hintsStuckOutput{s.Node, s.Damaged})
		}
		left := int64(p.Hints + p.Markers)
		most = max(most, left)
		showHints(bar, most, most-left)
	})
	if bar != nil {
		_ = bar.Finish() // only draws
	}
	late := errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
	stuck := errors.Is(err, client.ErrHintsDamaged)
	if err != nil && !late && !stuck {
		return err
	}
	if a.form == formJSON {
		err = a.printJSON(out)
	} else if out.Done {
		err = a.printf("delivered\n")
	} else {
		err = nil
	}
	if err != nil || out.Done {
		return err
	}
	if stuck {
		return failWith(exitStorage, "not delivered: %s; they are kept, and all others were delivered: "+
			"the log of these nodes names the keys", out.damagedAt())
	}
	return failWith(exitTimeout, "not delivered in time: %s; the delivery goes on", out.left())
}

// damagedAt says which nodes keep hints that can not be read.
func (o *hintsWaitOutput) damagedAt() string {
	var said []string
	for _, s := range o.Stuck {
		said = append(said, fmt.Sprintf("%d hints that can not be read at %s", s.Damaged, s.Node))
	}
	return strings.Join(said, ", ")
}

// left says what a wait that was given up waited for.
func (o *hintsWaitOutput) left() string {
	said := fmt.Sprintf("%d hints and %d markers", o.Hints, o.Markers)
	if o.Damaged > 0 {
		said += fmt.Sprintf(", %d damaged ones", o.Damaged)
	}
	if len(o.Missing) > 0 {
		said += ", no answer from " + strings.Join(o.Missing, ", ")
	}
	return said
}

// newHintsBar shows how many of the hints are delivered; nil where nobody watches.
func (a *app) newHintsBar() *progressbar.ProgressBar {
	if !terminal(a.errs) {
		return nil
	}
	return progressbar.NewOptions64(1,
		progressbar.OptionSetWriter(a.errs), progressbar.OptionSetDescription("delivered"),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
}

// showHints moves the bar.
func showHints(bar *progressbar.ProgressBar, most, done int64) {
	if bar == nil {
		return
	}
	bar.ChangeMax64(most)
	_ = bar.Set64(done) // it fails beyond its end only
}
