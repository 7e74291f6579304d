// SPDX-License-Identifier: Apache-2.0

// Package seats decides who has a seat in the metadata group's Raft (ARCHITECTURE 8): one
// voter for one or two members, three from three on. It is a core: [Decide] looks at how
// things stand and names the next single step, which only the leader may take; when it has
// been applied, or given up, it is asked again.
//
//	a new seat    Assign (a raft id) -> AddLearner -> caught up -> Promote
//	a dead voter  the same for another member, then Drop (its raft id) -> Remove
//	a lost store  Assign (a new raft id for the same member) -> Remove the old one ->
//	              AddLearner -> Promote: the old one never speaks again, and counted
//	              against the majority as long as it stayed
//	a leaver      the same as a dead voter, at once; leadership is handed over first
//
// # Invariants
//
//   - I1 After every step a majority of the voters is alive, if one was before; no step is
//     taken while there is none.
//   - I2 A voter that is alive and still its member's is removed only where there are more
//     than are wanted.
//   - I3 A voter is added before one is removed, but for those whose raft id the group has
//     replaced.
//   - I4 The leader neither removes nor drops itself.
//   - I5 With nothing more changing, the steps come to an end, and then as many voters are
//     alive as are wanted, or as there are members alive.
//   - I6 The decision depends on its input only, which is in order.
package seats
