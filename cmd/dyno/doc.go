// SPDX-License-Identifier: Apache-2.0

// Command dyno is the product as its users meet it: it runs clusters, and talks to them.
//
//	dyno dev                      a cluster on this machine
//	dyno kv put greeting hello    and a key in it
//
// Data goes to standard output, progress and errors to standard error. Each command ends
// with a code of the table in exit.go. `dyno COMMAND --help` shows flags and examples;
// `dyno man` all of them.
//
// Read app.go first: it is what commands share. A command is a function that returns a
// cobra.Command, in a file of its name; what it does is a method on a struct of its
// flags.
//
// What must hold:
//
//   - I1 Standard output has only what was asked for, and all of it, or the exit code is
//     not 0.
//   - I2 Output in JSON is stable: it has a version, fields are added, and none changes
//     its meaning.
//   - I3 A wait has a bound, and ends at once on an interrupt.
package main
