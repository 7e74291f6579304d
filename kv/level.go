// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"errors"
	"fmt"
	"strconv"
)

// Level says how many replicas a request needs: a number, or a word that stands for
// one. The zero value means "not said": the bucket's default holds.
type Level uint8

const (
	// LevelUnset is the zero value: the bucket decides.
	LevelUnset Level = 0
	// LevelOne, LevelQuorum and LevelAll are the words; they resolve by the bucket's n.
	LevelOne Level = 254
	// LevelQuorum is a majority: n/2 + 1.
	LevelQuorum Level = 253
	// LevelAll is every replica.
	LevelAll Level = 252
	// LevelZero is an explicit 0, which only pr and pw know.
	LevelZero Level = 251

	// MaxLevel is the highest number that a level can be.
	MaxLevel = 16
)

// ErrLevel is returned for a level that no bucket of this cluster can meet.
var ErrLevel = errors.New("kv: bad quorum level")

// LevelOf is the level that needs exactly n replicas, 0 to MaxLevel.
func LevelOf(n int) (Level, error) {
	switch {
	case n < 0 || n > MaxLevel:
		return 0, fmt.Errorf("%w: %d, must be 0 to %d", ErrLevel, n, MaxLevel)
	case n == 0:
		return LevelZero, nil
	default:
		return Level(n), nil
	}
}

// ParseLevel reads "one", "quorum", "all" or a number.
func ParseLevel(s string) (Level, error) {
	switch s {
	case "one":
		return LevelOne, nil
	case "quorum":
		return LevelQuorum, nil
	case "all":
		return LevelAll, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%w: %q, must be a number, one, quorum or all", ErrLevel, s)
	}
	return LevelOf(n)
}

// Resolve is how many of n replicas the level needs. It returns ErrLevel for more
// than n. LevelUnset resolves to 0; callers put the bucket's default in first.
func (l Level) Resolve(n int) (int, error) {
	switch l {
	case LevelUnset, LevelZero:
		return 0, nil
	case LevelOne:
		return 1, nil
	case LevelQuorum:
		return n/2 + 1, nil
	case LevelAll:
		return n, nil
	}
	if int(l) > n {
		return 0, fmt.Errorf("%w: %d of %d replicas", ErrLevel, l, n)
	}
	return int(l), nil
}

// Or is l, or def where l is LevelUnset.
func (l Level) Or(def Level) Level {
	if l == LevelUnset {
		return def
	}
	return l
}

func (l Level) String() string {
	switch l {
	case LevelUnset:
		return ""
	case LevelOne:
		return "one"
	case LevelQuorum:
		return "quorum"
	case LevelAll:
		return "all"
	case LevelZero:
		return "0"
	default:
		return strconv.Itoa(int(l))
	}
}
