// SPDX-License-Identifier: Apache-2.0

// Command ratios puts what bench/run-locks.sh has measured side by side: for each scenario
// and number of clients the medians of dyno, of the other system, and their ratio.
//
//	go run ./bench/ratios FILE...     lines of JSON, as `dyno bench lock -o json` prints them
package main
