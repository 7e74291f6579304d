// SPDX-License-Identifier: Apache-2.0

// Command floor measures what a store gets that does the obvious: for each put one
// synced Badger transaction that reads the key, merges, and writes. It imports nothing
// of dyno. Its figures stand beside those of the commit path of package storage, taken
// on the same directory in the same minute:
//
//	go run ./bench/floor --dir DIR
//	go test ./storage -run '^$' -bench ReadMergeWrite
//
// With the rates it prints how long an fsync takes there; where that is under 20 µs
// the directory is no disk, and the comparison means nothing.
package main
