// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"time"
)

// Variable names the file to a program.
const Variable = "DYNO_CLOCK_OFFSET"

// Clock is the wall clock of the programs that are started with its Environ. It may be used
// by many goroutines.
type Clock struct {
	mu     sync.Mutex // guards all below; held over writes of a word only
	file   *os.File
	offset time.Duration
}

// Create makes a clock that is right, and its file, which must not be there.
func Create(path string) (*Clock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("clock: %w", err)
	}
	c := &Clock{file: file}
	if err := c.Set(0); err != nil {
		_ = file.Close() // the first error tells
		return nil, err
	}
	return c, nil
}

// Environ is added to the environment of a program from Build.
func (c *Clock) Environ() string { return Variable + "=" + c.file.Name() }

// Set makes the clock show so much more than the machine's, or less: at once, in programs that
// run. An aligned word of a mapped file changes as one.
func (c *Clock) Set(offset time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	word := binary.NativeEndian.AppendUint64(nil, uint64(offset))
	if _, err := c.file.WriteAt(word, 0); err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	c.offset = offset
	return nil
}

// Offset is what was set last.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

// Close closes the file, and leaves it: programs may have it mapped.
func (c *Clock) Close() error { return c.file.Close() }
