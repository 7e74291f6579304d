// SPDX-License-Identifier: Apache-2.0

// Command repair measures, with real `dyno serve` processes on loopback, what it costs that
// nothing stays behind:
//
//	repair hints   how fast hints are delivered, and what a load in the foreground notices
//	repair refill  trees built anew after kill -9, and the fill of a lost store beside a
//	               plain copy of another one
//	repair puts    a load of puts, for two programs or two buckets to be compared
//	repair table   medians of what the others, and Go's benchmarks, have printed
//
// The first three print lines in the format of Go's benchmarks, for benchstat as for table.
// A load is open (bench/load): latencies count from when a request was due.
package main
