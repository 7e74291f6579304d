// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"errors"
	"fmt"
	"slices"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/vclock"
)

// Limits of one key. They refuse writes and never touch what a merge brings, so that
// no key can be bricked: a write with the key's whole context leaves one version.
const (
	// MaxKey is the longest key, in bytes.
	MaxKey = 4 << 10
	// MaxValue is the largest value, in bytes.
	MaxValue = 512 << 10
	// MaxVersions is how many versions a put may leave.
	MaxVersions = 100
	// MaxObject is how large an object a put may leave, in bytes, unless it leaves
	// fewer versions than it found.
	MaxObject = 1 << 20
	// MaxRequestContext is the largest context that a request may carry, encoded.
	MaxRequestContext = 64 << 10
)

var (
	// ErrTooManySiblings refuses a put that would leave more than MaxVersions.
	ErrTooManySiblings = errors.New("kv: too many siblings")
	// ErrTooLarge refuses a put that would leave an object above MaxObject.
	ErrTooLarge = errors.New("kv: object too large")
	// ErrFenced refuses a put whose fence is below the object's.
	ErrFenced = errors.New("kv: a newer fence holds this key")
	// ErrDotReused refuses a put whose dot is not above all that the object and its
	// writer have seen of the dot's actor. Either the writer's context is made up, or
	// the store lost its counter and its incarnation must end (TRAPS C3, C8).
	ErrDotReused = errors.New("kv: the dot of a write may have been issued before")
)

// Put returns o after the write v, which its writer based on seen: what seen covers
// is overwritten, all else stays beside it. v is sealed and its dot new, and the store
// that issued it must hold all its own earlier dots of this key, since they are folded
// (ARCHITECTURE 5).
//
// It returns ErrFenced, ErrDotReused, ErrTooManySiblings or ErrTooLarge where the write
// must be refused; nothing has happened then.
func (o Object) Put(v Version, seen vclock.Context) (Object, error) {
	if mutant.On(mutant.PutIgnoresContext) {
		seen = vclock.Context{}
	}
	if mutant.On(mutant.PutOverwrites) {
		seen = seen.Join(o.Context)
	}
	if v.Fence < o.Fence {
		return Object{}, fmt.Errorf("%w: %d, the write has %d", ErrFenced, o.Fence, v.Fence)
	}
	known := max(o.Context.Max(v.Dot.Actor), seen.Max(v.Dot.Actor))
	if v.Dot.Counter <= known || v.Dot.Counter > vclock.MaxCounter {
		return Object{}, fmt.Errorf("%w: %s, after %d", ErrDotReused, v.Dot, known)
	}
	out := Object{
		Context:  o.Context.Join(seen).Fold(v.Dot),
		Versions: make([]Version, 0, len(o.Versions)+1),
		Fence:    v.Fence,
	}
	for _, old := range o.Versions {
		if !seen.Contains(old.Dot) && old.Fence >= v.Fence {
			out.Versions = append(out.Versions, old)
		}
	}
	at, _ := slices.BinarySearchFunc(out.Versions, v.Dot, compareDot)
	out.Versions = slices.Insert(out.Versions, at, v)
	if err := checkLimits(o, out); err != nil {
		return Object{}, err
	}
	return out, nil
}

// checkLimits refuses what a put would leave, never what a merge brings.
func checkLimits(before, after Object) error {
	if n := len(after.Versions); n > MaxVersions {
		return fmt.Errorf("%w: %d, at most %d; read the key and write with its context",
			ErrTooManySiblings, n, MaxVersions)
	}
	shrinks := len(after.Versions) < len(before.Versions)
	if size := after.Size(); size > MaxObject && !shrinks {
		return fmt.Errorf("%w: %d bytes with its siblings, at most %d; "+
			"read the key and write with its context", ErrTooLarge, size, MaxObject)
	}
	return nil
}

// WriterContext is the context that the writer of v is handed: what it had seen and
// exactly the new dot, or, where its version is the only one left, all that the
// object has seen. Anything more would cover siblings that it never read.
func (o Object) WriterContext(seen vclock.Context, d vclock.Dot) vclock.Context {
	if mutant.On(mutant.PutContextWhole) {
		return o.Context
	}
	if len(o.Versions) == 1 && o.Versions[0].Dot == d {
		return o.Context
	}
	return seen.Add(d)
}
