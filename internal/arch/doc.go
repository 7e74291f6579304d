// SPDX-License-Identifier: Apache-2.0

// Package arch holds the shape of the house as data, and checks the tree against it.
// It reads source files only: no build, no network, no module download.
//
// [Check] walks a tree and returns every breach of a rule; the package's own test
// runs it over the repository, so a broken rule fails `go test`. What each rule asks
// for stands beside it in [Rules]. The table of rooms is [Rooms]; changing it needs a
// record in docs/adr.
//
// # Invariants
//
//   - I1 Every package of the module has a room in the table, or stands below a room
//     that is open to children.
//   - I2 A package imports lower rows only; rooms of one row never import each other.
//     A child may import its parent, and a parent a core child.
//   - I3 A core imports cores only, and starts, waits for, locks, reads and prints
//     nothing. What a build without a tag does not have may be excepted, file by file.
//   - I4 Each rule is shown to fail by at least one mini-module in testdata, with the
//     message that it prints there.
//
// What it can not see: a table that is changed through an alias, a pointer receiver of
// another package's type, a goroutine whose owner does not wait for it. Those stay with
// the reviewer, goleak and the race detector.
package arch
