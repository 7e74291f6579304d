// SPDX-License-Identifier: Apache-2.0

package history

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/dyno-kv/dyno/kv"
)

// Version is that of the encoding which this package writes and reads.
const Version = 1

var (
	// ErrInvalid is returned for what is no history: bad JSON, a field out of bounds.
	ErrInvalid = errors.New("history: invalid")
	// ErrVersion is returned for a history of another version.
	ErrVersion = errors.New("history: other version")
	// ErrCut is returned where the end is missing: what came before may be used.
	ErrCut = errors.New("history: cut off")
	// ErrTooLong is returned for more operations or events than the reader wants.
	ErrTooLong = errors.New("history: too long")
)

// Header says what a checker must know of the cluster, and what replays the run.
type Header struct {
	Version int `json:"version"`
	// N is how many replicas a key has.
	N int `json:"n"`
	// Sloppy says that fallbacks may stand in for owners, so that r and w meet no more; pr
	// and pw still do. It is what the cluster does, not what its bucket asks for.
	Sloppy bool `json:"sloppy,omitempty"`
	// Seed and Commit replay the run; Mode is what ran it.
	Seed   uint64 `json:"seed,omitempty"`
	Mode   string `json:"mode,omitempty"`
	Commit string `json:"commit,omitempty"`
	// Labels are for people: what the seed drew. One is for checkers too: "skew", how far
	// clocks may be apart, as time.Duration prints it.
	Labels map[string]string `json:"labels,omitempty"`
}

// Event is something that was done to the cluster.
type Event struct {
	From  int64    `json:"from"`
	Until int64    `json:"until"`
	Name  string   `json:"name"`
	Nodes []string `json:"nodes,omitempty"`
	// Outage says that the cluster can not be expected to answer meanwhile.
	Outage bool   `json:"outage,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// History is a whole run.
type History struct {
	Header Header
	Ops    []Op
	Events []Event
}

// Bounds of headers and events. The longest of each fits into a line (MaxLine), also if
// JSON escapes each of its bytes.
const (
	MaxLabels = 64
	MaxNodes  = 1 << 10
	MaxText   = 4 << 10
)

// Check reports why h is no header that this version can use.
func (h *Header) Check() error {
	switch {
	case h.Version != Version:
		return fmt.Errorf("%w: %d, this is %d", ErrVersion, h.Version, Version)
	case h.N < 1 || h.N > kv.MaxLevel:
		return fmt.Errorf("%w: n is %d, must be 1 to %d", ErrInvalid, h.N, kv.MaxLevel)
	case len(h.Labels) > MaxLabels || len(h.Mode) > MaxText || len(h.Commit) > MaxText:
		return fmt.Errorf("%w: header beyond its bounds", ErrInvalid)
	}
	for name, text := range h.Labels {
		if len(name) > MaxText || len(text) > MaxText {
			return fmt.Errorf("%w: label %.40q is too long", ErrInvalid, name)
		}
	}
	return nil
}

// Check reports why e is no event.
func (e *Event) Check() error {
	long := func(s string) bool { return len(s) > MaxText }
	switch {
	case min(e.From, e.Until) < -MaxTime || max(e.From, e.Until) > MaxTime:
		return fmt.Errorf("%w: event %.40q is out of time", ErrInvalid, e.Name)
	case e.From > e.Until:
		return fmt.Errorf("%w: event %.40q ends before it begins", ErrInvalid, e.Name)
	case e.Name == "" || long(e.Name) || long(e.Detail):
		return fmt.Errorf("%w: event needs a name and bounded texts", ErrInvalid)
	case len(e.Nodes) > MaxNodes || slices.ContainsFunc(e.Nodes, isLongNode):
		return fmt.Errorf("%w: event %.40q has too many nodes", ErrInvalid, e.Name)
	}
	return nil
}

// Check reports why o is no operation.
func (o *Op) Check() error {
	if why := o.fault(); why != "" {
		return fmt.Errorf("%w: operation of process %d on %.40q: %s",
			ErrInvalid, o.Process, o.Key, why)
	}
	return nil
}

func (o *Op) fault() string {
	reads := o.Kind == Get || o.Kind == Members || o.Kind == Total
	switch {
	case o.Kind < Get || o.Kind > SessionLost:
		return "no such kind"
	case o.Outcome < OK || o.Outcome > Info:
		return "no such outcome"
	case o.Process < 0:
		return "negative process"
	case o.Key == "" || len(o.Key) > MaxKey:
		return "key is empty or too long"
	case !utf8.ValidString(o.Key) || !utf8.ValidString(o.Node):
		return "texts must be UTF-8"
	case min(o.Invoked, o.Completed) < -MaxTime || max(o.Invoked, o.Completed) > MaxTime:
		return "time is out of bounds"
	case o.Invoked > o.Completed:
		return "completed before it was invoked"
	case len(o.Node) > MaxNode || len(o.Error) > MaxError:
		return "text is too long"
	case len(o.Read) > MaxValues || len(o.Context) > MaxValues:
		return "too many values"
	case max(o.R, o.W, o.PR, o.PW) > MaxLevel:
		return "level is too high"
	case o.TTL < 0 || o.TTL > 0 && o.Kind != Put && o.Kind != SessionOpen:
		return "only puts and sessions have a time to live"
	case o.Final > 0 && !reads:
		return "only a read is final"
	}
	if why := o.lockFault(); why != "" {
		return why
	}
	return o.valueFault()
}

func (o *Op) valueFault() string {
	named := o.Kind == Put || o.Kind == Delete || o.Kind == Add
	writes := o.Kind == Put || o.Kind == Delete
	switch {
	case named && (o.Value.Client == 0 || o.Value.Seq == 0):
		return "a write needs its value"
	case !named && !o.Value.IsZero():
		return "only a write has a value"
	case !writes && (len(o.Context) > 0 || o.Blind):
		return "only puts and deletes have a context"
	case o.Blind && len(o.Context) > 0:
		return "blind, and has a context"
	case len(o.Read) > 0 && (o.Outcome != OK || !o.lists()):
		return "only an ok read lists values"
	case o.Delta != 0 && o.Kind != Increment || o.Total != 0 && o.Kind != Total:
		return "only counters have a delta and a total"
	case slices.ContainsFunc(o.Read, isNone) || slices.ContainsFunc(o.Context, isNone):
		return "lists a value that is none"
	}
	return ""
}

func (o *Op) lists() bool { return o.Kind == Get || o.Kind == Members || o.Kind == Put }

func isLongNode(s string) bool { return len(s) > MaxNode }

func isNone(v Value) bool { return v.Client == 0 || v.Seq == 0 }
