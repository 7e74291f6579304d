// SPDX-License-Identifier: Apache-2.0

// Package trial runs a plan (sim/plan) on a simulated cluster (sim) and judges what it
// showed: the histories of its clients (jepsen/checker), the dots and acknowledgements of
// its nodes (sim/whitebox), and whether it went on and came to rest.
//
// # The phases of a run
//
//	boot      every host starts, in peace
//	chaos     the loads run while the faults of the plan come and go
//	liveness  all faults end within the plan's core, and everybody else is gone; new
//	          sessions at the core must be answered, as far as a majority is enough
//	healing   everybody is back, ready, and believed to be there by everybody else; new
//	          sessions must be answered again
//	reads     every key is read from all replicas, through each node
//	power     all hosts lose their power at once, start, and everything is read again
//	state     all members have come to the same state of the metadata group
//	compare   the disks of all owners hold the same of each key, byte for byte
//
// Between its faults the conductor does what a supervisor does: a process that ended by
// itself is started again, half of the time after its machine lost its power too. One that
// ends, or does not start, although nothing was done to it is a violation.
//
// # Invariants
//
//   - I1 What a run does depends on its plan alone, as far as the runtime allows: under the
//     edited one (sim/overlay) its hash is the same in every process.
//   - I2 A fault that is over leaves nothing behind but what it did: faults may overlap and
//     end in any order.
//   - I3 Faults count as having bitten only if they met something: packets that were lost, a
//     process that was there to be killed.
//   - I4 What can not be decided is unknown, never valid.
//
// # Goroutines
//
// One for each session of a load, awaited by the end of its phase; those of the cluster
// end with it.
package trial
