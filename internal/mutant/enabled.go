// SPDX-License-Identifier: Apache-2.0

//go:build mutant

package mutant

import (
	"os"
	"strings"
	"sync/atomic"
)

// Enabled says whether there are mutants in this build. It is a constant.
const Enabled = true

// active is the one that is on; the empty name is none. It is a variable of the package
// because cores ask for it, which have nothing that could be handed in: the exception of
// internal/arch for this file.
var active = begin(os.Getenv(Environment))

func begin(text string) *atomic.Pointer[Name] {
	name := Name(text)
	mustExist(name)
	var p atomic.Pointer[Name]
	p.Store(&name)
	return &p
}

// On reports whether a mutant is on.
func On(name Name) bool { return *active.Load() == name }

// Active is the mutant that is on, empty where none is.
func Active() Name { return *active.Load() }

// Activate turns a mutant on, in the place of the one that is, for the whole process. The
// returned function turns that one on again. Tests that run at the same time share it.
func Activate(name Name) (restore func()) {
	mustExist(name)
	before := active.Swap(&name)
	return func() { active.Store(before) }
}

// mustExist panics for a name that no mutant has: a run without its bug would be green,
// and count as proof that nobody saw it.
func mustExist(name Name) {
	if _, found := Find(name); name != "" && !found {
		panic("mutant: there is none of name " + string(name) + "; there are " + names())
	}
}

func names() string {
	var all []string
	for _, m := range All() {
		all = append(all, string(m.Name))
	}
	return strings.Join(all, ", ")
}
