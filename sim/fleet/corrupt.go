// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/sim/trial"
)

// Corrupted tells what became of the histories that one corruptor spoiled.
type Corrupted struct {
	Name string `json:"name"`
	What string `json:"what"`
	// Spoiled is in how many it found a place, Caught how many of these were not valid, and
	// Missed the seeds of the others.
	Spoiled int      `json:"spoiled"`
	Caught  int      `json:"caught"`
	Missed  []uint64 `json:"missed,omitempty"`
}

// Corruptions is what all of them showed.
type Corruptions struct {
	// Histories is how many valid ones there were of Seeds runs.
	Histories  int         `json:"histories"`
	Seeds      int         `json:"seeds"`
	Corruptors []Corrupted `json:"corruptors"`
	// Pass says that each found a place, and was caught wherever it did.
	Pass bool `json:"pass"`
}

// Corrupt makes clean histories by a sweep, and lets every corruptor spoil each of them. It
// calls each after each seed.
func Corrupt(ctx context.Context, r Runner, s Sweep, each func()) (*Corruptions, error) {
	dir, err := makeFolder("", runFolders)
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	defer func() { _ = dir.remove() }() // a temporary folder
	place := func(seed uint64) string { return filepath.Join(dir.path, fmt.Sprint(seed)) }
	s.Options.Keep = func(res *trial.Result) string { return place(res.Plan.Seed) }
	c := newCorruptions()
	var failed error
	_, err = s.Run(ctx, r, func(res *trial.Result) {
		seed := res.Plan.Seed
		c.Seeds++
		switch {
		case failed != nil:
		case !Stored(res):
			failed = fmt.Errorf("fleet: seed %d: its history is not kept: %v", seed, res.Problems)
		case !Red(res):
			failed = c.spoil(seed, filepath.Join(place(seed), trial.HistoryFile))
		}
		_ = os.RemoveAll(place(seed)) // the folder above goes as well
		each()
	})
	c.judge()
	return c, errors.Join(err, failed)
}

// corruptors are those of all histories, and those of histories with locks.
func corruptors() []checker.Corruptor {
	return slices.Concat(checker.Corruptors(), checker.LockCorruptors())
}

func newCorruptions() *Corruptions {
	c := &Corruptions{}
	for _, x := range corruptors() {
		c.Corruptors = append(c.Corruptors, Corrupted{Name: x.Name, What: x.What})
	}
	return c
}

func (c *Corruptions) spoil(seed uint64, path string) error {
	h, err := readHistory(path)
	if err != nil {
		return fmt.Errorf("fleet: seed %d: %w", seed, err)
	}
	return c.add(seed, h)
}

func (c *Corruptions) add(seed uint64, h *history.History) error {
	cfg, err := ConfigOf(&h.Header)
	if err != nil {
		return err
	}
	c.Histories++
	for i, x := range corruptors() {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		bad, ok := x.Corrupt(rng, h)
		if !ok {
			continue
		}
		report, err := checker.Check(bad, cfg)
		if err != nil {
			return err
		}
		found := &c.Corruptors[i]
		found.Spoiled++
		if report.Verdict == checker.Invalid {
			found.Caught++
		} else {
			found.Missed = append(found.Missed, seed)
		}
	}
	return nil
}

func (c *Corruptions) judge() {
	c.Pass = c.Histories > 0
	for i := range c.Corruptors {
		x := &c.Corruptors[i]
		c.Pass = c.Pass && x.Spoiled > 0 && x.Caught == x.Spoiled
	}
}
