// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/dyno-kv/dyno/jepsen/clock"
)

// clocks are those of all nodes.
type clocks struct{ all []*clock.Clock }

func openClocks(cfg *Config) (*clocks, error) {
	c := &clocks{}
	for i := range cfg.Nodes {
		one, err := clock.Create(filepath.Join(cfg.Dir, fmt.Sprintf("n%d.clock", i+1)))
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		c.all = append(c.all, one)
	}
	return c, nil
}

func (c *clocks) environ(i int) []string { return []string{c.all[i].Environ()} }

func (c *clocks) set(i int, offset time.Duration) error { return c.all[i].Set(offset) }

func (c *clocks) close() error {
	var errs []error
	for _, one := range c.all {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}
