// SPDX-License-Identifier: Apache-2.0

// Package draws runs tests of properties with more draws than rapid makes by itself, in
// rooms where one costs little. It is for TestMain.
//
// # Invariants
//
//   - I1 What the command line asks for, by a flag of rapid's, is done.
package draws
