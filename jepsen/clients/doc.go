// SPDX-License-Identifier: Apache-2.0

// Package clients lets workloads use a cluster through package client: the simulated one and
// that of real processes alike. [NewStore] is for keys, [NewLocks] for locks.
//
// What must hold:
//
//   - I1 An outcome is OK or Fail only where that is certain. A lock that may have been held
//     for a while although its attempt failed has an unknown outcome.
//   - I2 Nothing of a client of [NewLocks] runs when Stop returns. [NewStore] is given one that
//     is somebody else's.
package clients
