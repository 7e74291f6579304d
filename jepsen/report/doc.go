// SPDX-License-Identifier: Apache-2.0

// Package report tells people what a run was: the folder that a run leaves, and one HTML file
// that shows it.
//
// A run's folder holds
//
//	history.jsonl  what clients saw and what was done to the cluster (package history)
//	run.json       what the run was, and which faults met something ([Run])
//	result.json    what the checkers, and the run itself, found ([checker.Report])
//	report.html    the report
//
// [Load] reads one, [Run.Save] and [SaveResult] write the two small files. A folder with a
// history alone can be loaded too.
//
// # Invariants
//
//   - I1 Texts of a run come from anywhere: keys, errors, names. None of them is ever markup.
//   - I2 Reading is bounded, and refuses what this version does not know.
package report
