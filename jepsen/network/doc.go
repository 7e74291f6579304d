// SPDX-License-Identifier: Apache-2.0

// Package network gives the nodes of a cluster of processes, and its clients, addresses of
// their own, and stands between them: it loses, delays, doubles, reorders and corrupts what
// they send each other, cuts them off, in one direction or both, and lets them go again.
//
// [New] takes the first of these that the system allows, and says which:
//
//   - [ModeSwitch]: each host is a network namespace with one device, a TUN, whose other end
//     is here. What a host sends is read, meets the rule of its link (package link), and is
//     written to the receiver. It needs root, or a user namespace (package sandbox), and
//     /dev/net/tun.
//   - [ModeVeth]: the same switch and the same faults without /dev/net/tun, which users other
//     than root may often not open: the devices are pairs of virtual Ethernet, and their
//     other ends packet sockets.
//   - [ModeProxy]: no namespaces. Nodes listen at loopback addresses, and are known to others
//     at other ones, where connections and datagrams are taken and passed on.
//     [Network.Lacks] says what that can not do.
//
// What must hold:
//
//   - I1 A healthy link changes nothing, and a rule for one direction of a pair nothing for
//     any other.
//   - I2 What waits is bounded, see package link.
//   - I3 Namespaces have no names: they, their devices and the switch are gone with this
//     process, whatever ends it, once its children are. Nothing of the machine's own network
//     is touched.
//   - I4 A thread that can not go back to its own namespace is never used again.
//   - I5 Every goroutine ends with Close, which waits for it.
//
// Chances are drawn from the seed, but which packet meets which draw depends on when hosts
// send: a seed repeats rates, not runs.
package network
