// SPDX-License-Identifier: Apache-2.0

// Command gen writes the overlay of the runtime and prints where its JSON is:
//
//	go test -overlay "$(go run ./sim/overlay/gen -cache bin/overlay)" -c -o bin/p.test ./p
//	DYNO_SIM_SEED=7 GOGC=off GODEBUG=asyncpreemptoff=1 bin/p.test
//
// The first build with it compiles the standard library anew, about a minute.
package main
