// SPDX-License-Identifier: Apache-2.0

// Package gossip tells who is reachable, and who holds which ring version. It is
// SWIM with Lifeguard as hashicorp/memberlist has it (Das et al., "SWIM", 2002;
// Dadgar et al., "Lifeguard", 2018), plus what memberlist leaves out: it joins lost
// members again by itself after a partition, and keeps what it knows in an immutable
// [View] that is read without a lock.
//
// It is the failure detection of the Dynamo paper (section 4.8) and not its
// membership: in dyno the metadata group decides who is a member and who owns what.
//
//	g, err := gossip.Open(cfg, log.Named("gossip"))
//	group.Go(func() error { return g.Run(ctx) })
//	g.SetMembers(registered)      // whenever the metadata group's list changes
//	live, err := gossip.NewLiveness(gossip.DefaultLivenessConfig(), g.Alive)
//	defer g.Close()               // after Run's context ended
//
// # Invariants
//
//   - I1 Liveness only: nothing here changes a ring, counts for a quorum, or gates a
//     purge. A wrong belief costs time, never data (TRAPS N1, N2, and 0.8).
//   - I2 What memberlist calls only copies under a mutex that is never held over a
//     wait, and pokes a channel of capacity 1. It neither logs, nor waits, nor calls
//     memberlist (TRAPS N5, N9).
//   - I3 A registered member that is not alive is tried again, for as long as it is
//     registered: rounds come every Config.RejoinInterval and go through all of them.
//   - I4 Members of another cluster are refused three times: by the label of each
//     packet, and by the cluster tag in the meta when a member or a whole cluster
//     would be merged (TRAPS N8).
//   - I5 What a node says of itself fits in MaxMeta bytes, or Open refuses (TRAPS N6).
//   - I6 A View never changes once it is out, and is never older than the last change
//     by more than keepView needs to run once.
//   - I7 What others send takes bounded room: MaxMembers names, 64 conflicts, and 20
//     log lines in 10 s.
//   - I8 For a registered node id only the member of the registered name counts.
//
// # Goroutines
//
//	goroutine    started by       ends when                 waited for by
//	Run          node             ctx ends, or Close        node; Close
//	keepView     Run              Run ends                  Run
//	publish      Run              Run ends, + 200 ms        Run
//	keepJoined   Run              Run ends, + one exchange  Run
//	listeners    Open             Shutdown of the transport the transport, in Close
//	memberlist's Open; memberlist Close, + some seconds     nobody (see [Gossip.Close])
//
// memberlist's own loops see the end of Close at once, but a probe or a stream that
// is under way lasts until its timeout, and its timers may still call back; the
// transport refuses to send for them, and the callbacks only write into a roster that
// nobody reads any more.
//
// What it does not do: it authenticates nobody, it does not bound what memberlist
// decodes (its limits: 20 MiB for a stream; packets are decoded before any check but
// the label), so it listens on loopback unless told otherwise, and beyond that wants a
// Keyring. It does not persist: after a restart all is learned again.
package gossip
