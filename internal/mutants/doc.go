// SPDX-License-Identifier: Apache-2.0

// Command mutants breaks the cores one line at a time and expects their tests to
// notice: a mutant that no test kills marks a rule that no test holds.
//
//	go run ./internal/mutants [-parallel 2] [-timeout 60s] [-min 20] [-short] ./kv ./ring
//
// Each package brings its list in testdata/mutants.txt, blocks separated by a line
// "---":
//
//	# why this mutant is worth having (optional)
//	file: kv/merge.go
//	name: keeps versions that the other side has overwritten
//	nth: 2
//	- if covered {
//	+ if !covered {
//
// The old line is compared without the white space around it, and must stand in the
// file once, or nth says which of its places is meant. The new line takes over its
// indentation; a lone "+" drops the line.
//
// The mutated file reaches the compiler through `go test -overlay`: the tree is never
// touched. A mutant is killed by a failing test or by a test that hangs. It is an
// error of the list where a mutant does not apply or does not compile, and where a
// package has fewer of them than -min asks for. The tests must pass without any
// mutant first. The exit code is 1 where anything of this went wrong, 2 for wrong
// arguments.
package main
