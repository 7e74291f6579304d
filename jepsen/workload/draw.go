// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// Options are what a plan says about a workload that is drawn by its name.
type Options struct {
	// N is how many replicas a key has; Nodes how many nodes sessions go to, at most those
	// that the store knows; 0: they name none.
	N     uint8
	Nodes int
	// MinW and FinalR are those of Common.
	MinW, FinalR uint8
	// Pause is how long a pause is in the mean; 0: that is drawn too.
	Pause time.Duration
}

// Check says all that is wrong with o.
func (o *Options) Check() error {
	var errs []error
	if o.N < 1 || o.N > history.MaxLevel {
		errs = append(errs, fmt.Errorf("workload: N is %d, must be 1 to %d", o.N, history.MaxLevel))
	}
	if o.Nodes < 0 {
		errs = append(errs, fmt.Errorf("workload: Nodes is %d, must not be negative", o.Nodes))
	}
	if max(o.MinW, o.FinalR) > o.N {
		errs = append(errs, fmt.Errorf("workload: MinW is %d, FinalR is %d, must be at most N, %d",
			o.MinW, o.FinalR, o.N))
	}
	if o.Pause < 0 || o.Pause > maxMean {
		errs = append(errs, fmt.Errorf("workload: Pause is %v, must be 0 to %v", o.Pause, maxMean))
	}
	return errors.Join(errs...)
}

// maxMean keeps times to live, which are multiples of pauses, within their bounds.
const maxMean = time.Hour

// Kinds are the names that Draw knows.
func Kinds() []string {
	return []string{"register", "deletes", "set", "counter", "session", "expiry"}
}

// Draw draws a workload of a kind. Its keys begin with prefix.
func Draw(rng *rand.Rand, kind, prefix string, o Options) (Workload, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	switch kind {
	case "register":
		w := DrawRegister(rng, prefix, o.N)
		o.apply(&w.Common)
		o.roam(rng, &w.Common)
		return w, nil
	case "deletes":
		w := DrawDeletes(rng, prefix, o.N)
		o.apply(&w.Common)
		o.roam(rng, &w.Common)
		return w, nil
	case "set":
		w := DrawSet(rng, prefix, o.N)
		o.apply(&w.Common)
		return w, nil
	case "counter":
		w := DrawCounter(rng, prefix, o.N)
		o.apply(&w.Common)
		return w, nil
	case "session":
		w := DrawSessions(rng, prefix, o.N, o.Nodes)
		o.apply(&w.Common)
		return w, nil
	case "expiry":
		w := DrawExpiry(rng, prefix, o.N, o.Nodes)
		pauses := w.MaxTTL / w.MaxPause
		o.apply(&w.Common)
		w.MaxTTL = pauses * max(w.MaxPause, time.Millisecond)
		return w, nil
	default:
		return nil, fmt.Errorf("workload: %.40q is none of %v", kind, Kinds())
	}
}

// roam lets half of the workloads go to nodes that are drawn. Left to itself a client asks
// the first owner of a key as long as that answers, and nobody finds out what the others
// would have said.
func (o *Options) roam(rng *rand.Rand, c *Common) {
	if rng.IntN(2) == 0 {
		c.Nodes, c.Move = o.Nodes, rng.Float64()
	}
}

func (o *Options) apply(c *Common) {
	c.MinW, c.FinalR = o.MinW, o.FinalR
	if o.Pause > 0 {
		c.MaxPause = 2 * o.Pause // pauses are drawn evenly
	}
}
