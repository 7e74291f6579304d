// SPDX-License-Identifier: Apache-2.0

// Package load puts a key-value store under load and measures how it answers. It knows
// no store: `dyno bench kv` hands it one, and so can a program that measures another.
//
// In an open loop requests are due at times that were fixed before the first of them was
// sent, and a latency counts from the time at which its request was due. A store that
// stalls for a second at 1,000 requests a second shows a thousand slow requests, not one:
// this is the correction for coordinated omission. In a closed loop each client sends
// when its last answer is there, so a stall hides the requests that nobody sent;
// [Config.ExpectedInterval] puts them back in, as HdrHistogram does it.
//
// Writers carry the context of the version that they overwrite, as applications do; a
// blind write would leave a sibling at every turn. Where two clients met on a key, the
// next one to write it reads it first. Such reads are reported, and not counted as
// requests.
//
// What must hold:
//
//   - I1 Every request that was due is counted once: in a histogram, or as a failure
//     with its code.
//   - I2 Processor time is divided by the requests that ended between the same two
//     readings of the clock.
//   - I3 Run has ended every goroutine that it started when it returns.
package load
