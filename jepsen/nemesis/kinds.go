// SPDX-License-Identifier: Apache-2.0

package nemesis

import (
	"slices"
	"time"
)

// Kind names what a fault does. Kinds of package sim/plan that do the same have its names.
type Kind string

// The kinds.
const (
	Isolate       Kind = "isolate"
	Halves        Kind = "halves"
	Minority      Kind = "minority"
	Ring          Kind = "ring"
	Bridge        Kind = "bridge"
	OneWay        Kind = "one-way"
	Swizzle       Kind = "swizzle"
	LeaderCut     Kind = "leader-cut"
	Owners        Kind = "owners"
	Clients       Kind = "clients"
	Jam           Kind = "jam"
	Loss          Kind = "loss"
	Delay         Kind = "delay"
	Disorder      Kind = "disorder"
	Duplicate     Kind = "duplicate"
	Corrupt       Kind = "corrupt"
	Rate          Kind = "rate"
	Resets        Kind = "resets"
	Kill          Kind = "kill"
	KillAll       Kind = "kill-all"
	Stop          Kind = "stop"
	Pause         Kind = "pause"
	CrashLoop     Kind = "crash-loop"
	CrashAt       Kind = "crash-at-point"
	LeaderKill    Kind = "leader-kill"
	LeaderPause   Kind = "leader-pause"
	Rolling       Kind = "rolling-restart"
	Upgrade       Kind = "upgrade"
	Power         Kind = "power"
	PowerMinority Kind = "power-minority"
	PowerAll      Kind = "power-all"
	Torn          Kind = "torn"
	DiskRead      Kind = "disk-read"
	DiskWrite     Kind = "disk-write"
	DiskSync      Kind = "disk-sync"
	DiskFull      Kind = "disk-full"
	DiskSlow      Kind = "disk-slow"
	Flip          Kind = "flip"
	Wipe          Kind = "wipe"
	Restore       Kind = "restore"
	ClockStep     Kind = "clock-step"
	ClockStrobe   Kind = "clock-strobe"
	ClockDrift    Kind = "clock-drift"
	Overload      Kind = "overload"
	BigValues     Kind = "big-values"
	HotKey        Kind = "hot-key"
)

// Group is a set of kinds that are asked for together.
type Group string

// The groups.
const (
	GroupNetwork Group = "network"
	GroupProcess Group = "process"
	GroupDisk    Group = "disk"
	GroupData    Group = "data"
	GroupClock   Group = "clock"
	GroupLoad    Group = "load"
)

// Groups lists all groups.
func Groups() []Group {
	return []Group{GroupNetwork, GroupProcess, GroupDisk, GroupData, GroupClock, GroupLoad}
}

// Needs is what an environment must be able to do for a kind.
type Needs uint8

const (
	// Cuts is a network in which any two hosts can be kept apart, in one direction too.
	Cuts Needs = 1 << iota
	// Losses is one that loses packets or resets connections.
	Losses
	// Shapes is one that delays, reorders, doubles, spoils and throttles packets.
	Shapes
	// Disks is a disk of ours below each node.
	Disks
	// Clocks is a program whose wall clock can be set.
	Clocks
	// OldProgram is another version of the program.
	OldProgram
	// Failpoints is a program that can be killed at places in it: those of Options.Points.
	Failpoints
)

// Whom says whom a kind meets.
type Whom uint8

const (
	// Everybody, or the ways between all.
	Everybody Whom = iota
	// One node, Nodes[0].
	One
	// Some nodes, fewer than half of them.
	Some
	// Side is any part of the nodes but none and all.
	Side
	// SpareNode is the one that may lose what it holds.
	SpareNode
	// Leader is whoever leads the metadata group when the fault begins.
	Leader
)

// Info tells of one kind.
type Info struct {
	Kind  Kind
	Group Group
	// What it does, in terms of the fields of Fault.
	What  string
	Needs Needs
	Whom  Whom
	// Holds says that the nodes it meets can have no other fault that holds them (I2).
	Holds bool
	// Outage says that the cluster can not be expected to answer meanwhile.
	Outage bool

	least, most time.Duration // how long it lasts
	nodes       int           // how many there must be
	draw        func(*drawing, *Fault)
	valid       func(*Fault) bool // of N, Share and By; nil: all are zero
}

// Kinds lists all kinds.
func Kinds() []Info {
	return slices.Concat(networkKinds(), processKinds(), diskKinds(), dataKinds(), clockKinds(),
		loadKinds())
}

// Lookup returns what there is to know of a kind.
func Lookup(k Kind) (Info, bool) {
	in, known := byName()[k]
	return in, known
}

func byName() map[Kind]Info {
	kinds := make(map[Kind]Info)
	for _, in := range Kinds() {
		kinds[in.Kind] = in
	}
	return kinds
}

const second = time.Second

func networkKinds() []Info {
	all := []Info{
		{Kind: Isolate, Needs: Cuts, Whom: One, least: 2 * second, most: 15 * second,
			What: "the node is cut off from all other nodes"},
		{Kind: Halves, Needs: Cuts, Whom: Side, least: 2 * second, most: 12 * second,
			What: "Nodes are cut off from all others"},
		{Kind: Minority, Needs: Cuts, Whom: Some, least: 2 * second, most: 15 * second,
			What: "each of Nodes, fewer than half, is cut off from all other nodes"},
		{Kind: Ring, Needs: Cuts, Outage: true, least: 2 * second, most: 12 * second,
			nodes: 4, // among three it is nothing
			What:  "each node hears a majority, each another one"},
		{Kind: Bridge, Needs: Cuts, Whom: One, least: 2 * second, most: 12 * second,
			What: "two halves that only the node hears, and is heard by"},
		{Kind: OneWay, Needs: Cuts, Whom: Side, least: 2 * second, most: 12 * second,
			draw: drawWay, valid: upTo(1),
			What: "nothing that Nodes send reaches the others; with N 1 nothing reaches them"},
		{Kind: Swizzle, Needs: Cuts, Whom: Some, least: 6 * second, most: 15 * second,
			What: "Nodes are cut off one after the other, and mended in another order"},
		{Kind: LeaderCut, Needs: Cuts, Whom: Leader, least: 3 * second, most: 15 * second,
			What: "whoever leads the metadata group is cut off from all other nodes"},
		{Kind: Owners, Needs: Cuts, least: 2 * second, most: 12 * second,
			What: "the owners of one key are cut off from all other nodes, and from each other"},
		{Kind: Clients, Needs: Cuts, Whom: One, least: 2 * second, most: 12 * second,
			What: "no client reaches the node, nor does it reach them"},
		{Kind: Jam, Needs: Shapes, Whom: One, least: 2 * second, most: 8 * second,
			What: "what the node sends is kept, and arrives all at once when the fault is over"},
		{Kind: Loss, Needs: Losses, least: 3 * second, most: 15 * second,
			draw: drawShare(0.01, 0.3), valid: share,
			What: "Share of all packets between nodes is lost"},
		{Kind: Delay, Needs: Shapes, Whom: One, least: 3 * second, most: 15 * second,
			draw: drawBy(5*time.Millisecond, 500*time.Millisecond), valid: by(second),
			What: "what the node sends takes By longer"},
		{Kind: Disorder, Needs: Shapes, least: 3 * second, most: 15 * second,
			draw: drawDisorder, valid: late,
			What: "Share of all packets takes up to By longer, and so comes after later ones"},
		{Kind: Duplicate, Needs: Shapes, least: 3 * second, most: 15 * second,
			draw: drawShare(0.05, 0.5), valid: share, What: "Share of all packets comes twice"},
		{Kind: Corrupt, Needs: Shapes, least: 3 * second, most: 12 * second,
			draw: drawShare(0.005, 0.1), valid: share,
			What: "a bit is turned in Share of all packets"},
		{Kind: Rate, Needs: Shapes, Whom: One, least: 3 * second, most: 12 * second,
			draw: drawRate, valid: within(1<<10, 1<<24),
			What: "what the node sends passes at N bytes a second"},
		{Kind: Resets, Needs: Losses, least: second, most: 8 * second,
			What: "several times a second all connections of two nodes with each other are reset"},
	}
	return inGroup(GroupNetwork, all)
}

func processKinds() []Info {
	all := []Info{
		{Kind: Kill, Whom: One, Holds: true, least: second / 2, most: 10 * second,
			What: "the process is killed; another one is started after For"},
		{Kind: KillAll, Holds: true, Outage: true, least: second / 10, most: 4 * second,
			What: "all processes are killed at once"},
		{Kind: Stop, Whom: One, Holds: true, least: second, most: 10 * second,
			What: "the process is told to stop, and does; another one is started after For"},
		{Kind: Pause, Whom: One, Holds: true, least: second / 10, most: 15 * second,
			What: "the process stands still for For"},
		{Kind: CrashLoop, Whom: One, Holds: true, least: 4 * second, most: 12 * second,
			draw: drawTimes(2, 5), valid: within(2, 5),
			What: "the process is killed N times, each soon after it was started"},
		{Kind: CrashAt, Needs: Failpoints, Whom: One, Holds: true, least: 4 * second,
			most: 12 * second, draw: drawPoint, valid: within(1, mostPasses),
			What: "the process is killed, and its next one when that passes the failpoint Point for " +
				"the N-th time, be it while it starts or stops; another one is started after For"},
		{Kind: LeaderKill, Whom: Leader, Holds: true, least: second / 2, most: 8 * second,
			What: "whoever leads the metadata group is killed, and started after For"},
		{Kind: LeaderPause, Whom: Leader, Holds: true, least: 2 * second, most: 12 * second,
			What: "whoever leads the metadata group stands still for For"},
		{Kind: Rolling, Holds: true, least: 15 * second, most: 25 * second,
			What: "one node after the other is stopped and started, each when the one before is ready"},
		{Kind: Upgrade, Needs: OldProgram, Holds: true, least: 25 * second, most: 40 * second,
			What: "one node after the other is stopped and started as the old program, and then as the " +
				"new one again"},
	}
	return inGroup(GroupProcess, all)
}

func diskKinds() []Info {
	all := []Info{
		{Kind: Power, Whom: One, Holds: true, least: second / 2, most: 8 * second,
			What: "the node loses its power, and its disk what was not synced, for For"},
		{Kind: PowerMinority, Whom: Some, Holds: true, least: second / 2, most: 8 * second,
			What: "Nodes, fewer than half, lose their power at once"},
		{Kind: PowerAll, Holds: true, Outage: true, least: second / 10, most: 4 * second,
			What: "all nodes lose their power at once"},
		{Kind: Torn, Whom: One, Holds: true, least: second / 2, most: 8 * second,
			What: "the node loses its power, and half of the sectors that were not synced stay"},
		{Kind: DiskRead, Whom: One, Holds: true, least: 2 * second, most: 8 * second,
			draw: drawTimes(1, 50), valid: within(1, 50),
			What: "the N-th read of the disk fails; a process that ends by it is started after For"},
		{Kind: DiskWrite, Whom: One, Holds: true, least: 2 * second, most: 8 * second,
			draw: drawTimes(1, 200), valid: within(1, 200),
			What: "the N-th write fails; the process ends by it, and is started after For"},
		{Kind: DiskSync, Whom: One, Holds: true, least: 2 * second, most: 8 * second,
			draw: drawTimes(1, 200), valid: within(1, 200),
			What: "the N-th sync fails, and what it was to sync counts as clean; the process ends by " +
				"it, and is started after For"},
		{Kind: DiskFull, Whom: One, Holds: true, least: 3 * second, most: 10 * second,
			What: "the disk has no byte left for For"},
		{Kind: DiskSlow, Whom: One, Holds: true, least: 3 * second, most: 12 * second,
			draw: drawBy(5*time.Millisecond, 500*time.Millisecond), valid: by(second),
			What: "each sync takes By longer"},
	}
	for i := range all {
		all[i].Needs = Disks
	}
	return inGroup(GroupDisk, all)
}

func dataKinds() []Info {
	all := []Info{
		{Kind: Flip, Needs: Disks, Whom: SpareNode, Holds: true, least: second, most: 6 * second,
			draw: drawTimes(1, 8), valid: within(1, 8),
			What: "the spare node is killed, a bit is turned in each of N places of its data, and it is " +
				"started; where it refuses to, as a lost one"},
		{Kind: Wipe, Whom: SpareNode, Holds: true, least: 8 * second, most: 20 * second,
			What: "the spare node is killed, loses its directory, and is started with --rejoin"},
		{Kind: Restore, Whom: SpareNode, Holds: true, least: 8 * second, most: 20 * second,
			What: "the spare node is killed, has the directory of some time ago, and is started; it " +
				"refuses to serve that, and is started with --rejoin"},
	}
	return inGroup(GroupData, all)
}

func clockKinds() []Info {
	const day = 24 * time.Hour
	all := []Info{
		{Kind: ClockStep, Whom: One, least: 2 * second, most: 15 * second,
			draw: drawStep(second, day), valid: shift(day),
			What: "the node's clock is By off for For"},
		{Kind: ClockStrobe, Whom: One, least: 2 * second, most: 8 * second,
			draw: drawStep(second/10, 10*second), valid: shift(10 * second),
			What: "the node's clock jumps to By and back, five times a second"},
		{Kind: ClockDrift, Whom: One, least: 4 * second, most: 15 * second,
			draw: drawDrift, valid: within(-500_000, 1_000_000),
			What: "the node's clock goes N parts per million fast"},
	}
	for i := range all {
		all[i].Needs = Clocks
	}
	return inGroup(GroupClock, all)
}

func loadKinds() []Info {
	return inGroup(GroupLoad, []Info{
		{Kind: Overload, least: 3 * second, most: 10 * second,
			What: "ten times as many clients write and read as fast as they can"},
		{Kind: BigValues, least: 3 * second, most: 10 * second,
			What: "values of up to a mebibyte are written and read"},
		{Kind: HotKey, least: 3 * second, most: 10 * second,
			What: "many clients write and read one key"},
	})
}

func inGroup(g Group, all []Info) []Info {
	for i := range all {
		all[i].Group = g
	}
	return all
}
