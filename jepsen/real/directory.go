// SPDX-License-Identifier: Apache-2.0

package real

import (
	"errors"
	"fmt"
	"os"
)

// errRuns says that a directory is in use.
var errRuns = errors.New("real: the node runs")

// Save keeps a copy of the directory of node i, which must not run, in the place of an
// earlier copy.
func (c *Cluster) Save(i int) error {
	return c.still(i, func(dir string) error {
		if err := os.RemoveAll(dir + ".saved"); err != nil {
			return err
		}
		return os.CopyFS(dir+".saved", os.DirFS(dir))
	})
}

// Restore puts the copy that was saved in the place of the directory of node i, which must
// not run, as somebody does who has a backup.
func (c *Cluster) Restore(i int) error {
	return c.still(i, func(dir string) error {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		return os.CopyFS(dir, os.DirFS(dir+".saved"))
	})
}

// Wipe removes the directory of node i, which must not run.
func (c *Cluster) Wipe(i int) error { return c.still(i, os.RemoveAll) }

func (c *Cluster) still(i int, do func(dir string) error) error {
	p := c.nodes[i]
	if p.runs() {
		return fmt.Errorf("%w: %s", errRuns, p.name)
	}
	if err := do(p.dir); err != nil {
		return fmt.Errorf("real: directory of %s: %w", p.name, err)
	}
	return nil
}
