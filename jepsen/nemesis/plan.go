// SPDX-License-Identifier: Apache-2.0

package nemesis

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/jepsen/planfile"
)

// Version is that of the encoding.
const Version = 1

// ErrInvalid is returned for what is no plan.
var ErrInvalid = errors.New("nemesis: invalid plan")

// Plan is what is done to a cluster, nodes numbered from 0.
type Plan struct {
	Version int    `json:"version"`
	Seed    uint64 `json:"seed"` // draws what the plan leaves open
	Nodes   int    `json:"nodes"`
	Spare   int    `json:"spare"` // the node that may lose its data
	// Duration is how long it takes, Faults in the order in which they begin.
	Duration Span    `json:"duration"`
	Faults   []Fault `json:"faults"`
}

// Fault is something that is done to the cluster. Kinds tells what each field means.
type Fault struct {
	Kind Kind `json:"kind"`
	// At is when it begins, from the beginning of the plan; For how long it lasts.
	At  Span `json:"at"`
	For Span `json:"for"`
	// Nodes are those that it meets; none where that shows when it begins, or all are met.
	Nodes []int   `json:"nodes,omitempty"`
	N     int     `json:"n,omitempty"`
	Share float64 `json:"share,omitempty"`
	By    Span    `json:"by,omitempty"`
	// Point is the name of a failpoint.
	Point string `json:"point,omitempty"`
}

// End is when it is over.
func (f *Fault) End() time.Duration { return time.Duration(f.At + f.For) }

// Without is the plan less some of its faults, by their places.
func (p *Plan) Without(places ...int) *Plan {
	twin := *p
	twin.Faults = nil
	for i, f := range p.Faults {
		if !slices.Contains(places, i) {
			f.Nodes = slices.Clone(f.Nodes)
			twin.Faults = append(twin.Faults, f)
		}
	}
	return &twin
}

// Used lists the kinds of a plan, in the order of their first fault.
func (p *Plan) Used() []Kind {
	var used []Kind
	for i := range p.Faults {
		if k := p.Faults[i].Kind; !slices.Contains(used, k) {
			used = append(used, k)
		}
	}
	return used
}

// Span is a time.Duration that is written as text.
type Span = planfile.Span

// Write writes a plan, to be read by people too.
func Write(w io.Writer, p *Plan) error {
	return planfile.Write(w, p)
}

// maxBytes bounds a written plan.
const maxBytes = 4 << 20

// Read reads a plan and checks it.
func Read(r io.Reader) (*Plan, error) {
	p := &Plan{}
	if err := planfile.Read(r, maxBytes, p); errors.Is(err, planfile.ErrMalformed) {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	} else if err != nil {
		return nil, fmt.Errorf("nemesis: %w", err)
	}
	return p, p.Validate()
}
