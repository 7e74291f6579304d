// SPDX-License-Identifier: Apache-2.0

// Package sim runs a whole cluster in one process and in fake time: real nodes and real
// clients on a network (rpc/memnet), disks and clocks that are made to fail. It must be
// used inside one testing/synctest bubble.
//
// # What is real and what is not
//
//	real       node, and all that it is made of; client
//	simulated  sockets, disks (one layer below storage.Store), wall clocks, sources of
//	           chance, and the ends of processes and machines
//	either     the metadata group: that of the nodes themselves (Config.Grouped), or one
//	           that does as it is told, and loses nothing
//	           the engine of a disk: one of the simulator's own, which loses what was not
//	           synced, or the product's Badger, in memory or in a directory (EngineKind)
//
// A process can not be ended from outside in Go. So its end is that of all it can reach:
// its connections are reset, its sockets closed, its disk fenced; what is left of its
// goroutines ends on its own time and reaches nobody. A pause works alike: whatever comes
// in or goes out waits at a gate, while the process's own timers go on unseen.
//
// Workloads of the black-box tests (jepsen/workload) run on it through jepsen/clients, so that
// the checkers judge what its clients saw.
//
// # What a disk keeps
//
//	end of the process  everything that a commit handed to the operating system
//	loss of power       what a sync has covered; a commit under way whole or not at all,
//	                    by chance: the engine's contract knows no part of a commit
//	failed sync         reads as before until the power goes; then that commit and all
//	                    that came after it are gone, whatever later syncs said
//	an open             what is found is synced before anybody reads it; what a failed
//	                    sync left behind only after a while (Disk.SetRewriteTime)
//
// With Badger the directory is a real one, on a tmpfs, where all that was written is
// there whatever ends; so a loss of power is a kill and a new boot. The next process opens
// a copy of it as it was in that moment, half a record at the end of a log included, and
// replays that; the dead one's Badger, which nothing can stop, closes beside it.
//
// # Invariants
//
//   - I1 At most one process has a disk open; a handle of a dead one fails for ever.
//   - I2 A power loss takes nothing that a sync covered, unless an earlier sync failed.
//   - I3 Every draw comes from the seed and the name of what draws, so that one draw more
//     in one place changes nothing elsewhere.
//   - I4 After Close nothing of the cluster runs.
//
// # Goroutines
//
// One for each process: started by Host.Start, ended by the process's end, awaited by
// Cluster.Close. One for each Badger of a dead process, which closes it: awaited by
// Disk.Close.
package sim
