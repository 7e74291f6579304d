// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/dyno-kv/dyno/sim/plan"
)

// Kept is a plan in a file, for instance one that was red once (jepsen/seeds).
type Kept struct {
	Path string
	Plan *plan.Plan
}

// ReadPlan reads one.
func ReadPlan(path string) (*plan.Plan, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // it was only read
	p, err := plan.Read(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// ReadKept reads every plan of a folder, in the order of their names.
func ReadKept(dir string) ([]Kept, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var kept []Kept
	var errs []error
	for _, path := range names {
		p, err := ReadPlan(path)
		kept, errs = append(kept, Kept{path, p}), append(errs, err)
	}
	return kept, errors.Join(errs...)
}
