// SPDX-License-Identifier: Apache-2.0

// Package lockload puts a lock service under load and measures how it answers. It knows no
// service: `dyno bench lock` hands it one, and so does the program that measures etcd
// (bench/peers/etcd), so that both are asked by the same code, and report alike.
//
//	Pairs      clients that lock and unlock a name of their own, one pair after the other
//	Handover   clients that all want one name, and give it back at once
//	Keep       sessions that are kept alive, and nothing else
//	Failover   the time from the death of the leader to the next grant
//
// What must hold:
//
//   - I1 Each client has a session of its own, and one request under way at a time.
//   - I2 Only pairs that ended between the two readings of the clock are counted.
//   - I3 A scenario has ended every goroutine that it started, and closed every session,
//     when it returns.
package lockload
