// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Kind names what a fault does.
type Kind string

// The kinds.
const (
	Kill        Kind = "kill"
	Stop        Kind = "stop"
	Power       Kind = "power"
	PowerAll    Kind = "power-all"
	CrashLoop   Kind = "crash-loop"
	Pause       Kind = "pause"
	CrashAt     Kind = "crash-at-point"
	SlowAt      Kind = "slow-at-point"
	FailAt      Kind = "fail-at-point"
	Isolate     Kind = "isolate"
	Halves      Kind = "halves"
	Ring        Kind = "ring"
	Bridge      Kind = "bridge"
	OneWay      Kind = "one-way"
	Clients     Kind = "clients"
	Swizzle     Kind = "swizzle"
	Loss        Kind = "loss"
	Delay       Kind = "delay"
	Tail        Kind = "tail"
	Disorder    Kind = "disorder"
	Rate        Kind = "rate"
	Resets      Kind = "resets"
	DiskRead    Kind = "disk-read"
	DiskWrite   Kind = "disk-write"
	DiskSync    Kind = "disk-sync"
	DiskFull    Kind = "disk-full"
	DiskSlow    Kind = "disk-slow"
	Flip        Kind = "flip"
	Wipe        Kind = "wipe"
	Restore     Kind = "restore"
	Clone       Kind = "clone"
	ClockStep   Kind = "clock-step"
	ClockDrift  Kind = "clock-drift"
	ClockStrobe Kind = "clock-strobe"
	Group       Kind = "group"
	LeaderKill  Kind = "leader-kill"
	LeaderPower Kind = "leader-power"
	LeaderPause Kind = "leader-pause"
	LeaderCut   Kind = "leader-cut"
	LeaderDisk  Kind = "leader-disk"
	SeatsPower  Kind = "seats-power"
)

// Needs is what a plan must have for a kind.
type Needs uint8

const (
	// KeepsData is an engine whose data outlives its process.
	KeepsData Needs = 1 << iota
	// SpareHost is a host that may lose what it holds.
	SpareHost
	// Several is more than one node.
	Several
	// RealGroup is a metadata group that the nodes run themselves, StandIn one that does
	// what it is told.
	RealGroup
	StandIn
)

// Info tells of one kind.
type Info struct {
	Kind  Kind
	What  string
	Needs Needs

	everywhere bool // meets all hosts, or none
	draw       func(rng *rand.Rand, p *Plan, f *Fault)
}

// Kinds lists all kinds.
func Kinds() []Info {
	return slices.Concat(processKinds(), networkKinds(), diskKinds(), clockKinds(),
		groupKinds())
}

func lookup(k Kind) (Info, bool) {
	kinds := Kinds()
	if i := slices.IndexFunc(kinds, func(in Info) bool { return in.Kind == k }); i >= 0 {
		return kinds[i], true
	}
	return Info{}, false
}

func processKinds() []Info {
	return []Info{
		{Kind: Kill, Needs: KeepsData, draw: victim(10*time.Millisecond, 8*time.Second),
			What: "the process is killed; the host starts another after For"},
		{Kind: Stop, Needs: KeepsData, draw: stop,
			What: "the process is told to stop; the host starts another after For, which with N 1 " +
				"is killed after By"},
		{Kind: Power, Needs: KeepsData, draw: victim(10*time.Millisecond, 8*time.Second),
			What: "the host loses its power, and has it again after For"},
		{Kind: PowerAll, Needs: KeepsData, everywhere: true,
			draw: lasts(10*time.Millisecond, 3*time.Second),
			What: "all hosts lose their power at the same moment"},
		{Kind: CrashLoop, Needs: KeepsData, draw: crashLoop,
			What: "the process is killed N times, each soon after it was started"},
		{Kind: Pause, draw: victim(100*time.Millisecond, 12*time.Second),
			What: "the process stands still for For"},
		{Kind: CrashAt, Needs: KeepsData, draw: atPoint,
			What: "the process is killed when it passes the failpoint for the N-th time from At on"},
		{Kind: SlowAt, draw: slowAt,
			What: "for For, each N-th time the process passes the failpoint takes By"},
		{Kind: FailAt, Needs: KeepsData, draw: atPoint,
			What: "the failpoint fails when it is passed for the N-th time from At on"},
		{Kind: Group, Needs: KeepsData | StandIn, draw: group,
			What: "the process is killed, and the next one starts while the metadata group " +
				"fails (N 1), hangs (2), or loses its answers (3), for For"},
	}
}

func networkKinds() []Info {
	return []Info{
		{Kind: Isolate, Needs: Several, draw: victim(time.Second, 45*time.Second),
			What: "the host is cut off from all other hosts"},
		{Kind: Halves, Needs: Several, draw: side, What: "Hosts are cut off from all others"},
		{Kind: Ring, Needs: Several, everywhere: true, draw: lasts(time.Second, 15*time.Second),
			What: "each host hears a majority, each another one"},
		{Kind: Bridge, Needs: Several, draw: victim(time.Second, 15*time.Second),
			What: "two halves that only one host hears, and is heard by"},
		{Kind: OneWay, Needs: Several, draw: oneWay,
			What: "nothing that Hosts send reaches the others; with N 1 nothing reaches them"},
		{Kind: Clients, draw: victim(time.Second, 15*time.Second),
			What: "no client reaches the host"},
		{Kind: Swizzle, Needs: Several, draw: side,
			What: "Hosts are cut off one after the other, and mended in another order"},
		{Kind: Loss, everywhere: true, draw: share(0.3, 2*time.Second, 20*time.Second),
			What: "Share of the packets, and of the segments of streams, is lost"},
		{Kind: Delay, draw: delay, What: "what the host sends takes up to By longer"},
		{Kind: Tail, everywhere: true, draw: tail,
			What: "Share of all messages takes up to By longer"},
		{Kind: Disorder, everywhere: true, draw: share(0.5, 2*time.Second, 20*time.Second),
			What: "Share of the packets comes late, and a third of that twice"},
		{Kind: Rate, draw: rate, What: "what the host sends passes at N bytes a second"},
		{Kind: Resets, everywhere: true, draw: share(0.02, time.Second, 10*time.Second),
			What: "Share of all segments resets its connection"},
	}
}

func diskKinds() []Info {
	return []Info{
		{Kind: DiskRead, Needs: KeepsData, draw: nth, What: "the N-th read from At on fails"},
		{Kind: DiskWrite, Needs: KeepsData, draw: nth, What: "the N-th write from At on fails"},
		{Kind: DiskSync, Needs: KeepsData, draw: nth, What: "the N-th sync from At on fails"},
		{Kind: DiskFull, Needs: KeepsData, draw: full,
			What: "N bytes are free for For; the low-water mark is above that"},
		{Kind: DiskSlow, draw: slowDisk, What: "each sync takes By for For"},
		{Kind: Flip, Needs: KeepsData | SpareHost, draw: flip,
			What: "a bit is turned in each of N records of the spare host, while it is down"},
		{Kind: Wipe, Needs: KeepsData | SpareHost, draw: spare,
			What: "the spare host loses its power and its data; with N 1 an operator says so when it " +
				"is started, and it is filled again"},
		{Kind: Restore, Needs: KeepsData | SpareHost, draw: restore,
			What: "the spare host comes back with what it had two openings ago; with N 1 an operator " +
				"says so, and it is filled again"},
		{Kind: Clone, Needs: KeepsData | SpareHost, draw: spare,
			What: "the spare host is started on a copy of another host's data, then on its own"},
	}
}

func clockKinds() []Info {
	return []Info{
		{Kind: ClockStep, draw: clockStep, What: "the host's clock jumps by By, and stays"},
		{Kind: ClockDrift, draw: clockDrift,
			What: "the host's clock goes N parts per million fast for For"},
		{Kind: ClockStrobe, draw: clockStrobe,
			What: "the host's clock jumps forth and back by By, N times"},
	}
}

// groupKinds meet whoever leads the metadata group, or has a seat in it, when they begin.
func groupKinds() []Info {
	return []Info{
		{Kind: LeaderKill, Needs: KeepsData | RealGroup, everywhere: true,
			draw: lasts(10*time.Millisecond, 8*time.Second),
			What: "the process that leads the metadata group is killed; its host starts another " +
				"after For"},
		{Kind: LeaderPower, Needs: KeepsData | RealGroup, everywhere: true,
			draw: lasts(10*time.Millisecond, 8*time.Second),
			What: "the host that leads the metadata group loses its power, for For"},
		{Kind: LeaderPause, Needs: RealGroup, everywhere: true,
			draw: lasts(500*time.Millisecond, 12*time.Second),
			What: "the process that leads the metadata group stands still for For"},
		{Kind: LeaderCut, Needs: RealGroup | Several, everywhere: true, draw: leaderCut,
			What: "whoever leads the metadata group is cut off from all other hosts; with N 1 every " +
				"other one of those who lock reaches it alone, and the rest the others alone"},
		{Kind: LeaderDisk, Needs: RealGroup, everywhere: true, draw: leaderDisk,
			What: "each sync of whoever leads the metadata group takes By for For"},
		{Kind: SeatsPower, Needs: KeepsData | RealGroup, everywhere: true,
			draw: seatsPower,
			What: "the disks of all who have a seat in the metadata group but the leader stand for By; " +
				"then all of them lose their power at once, and the leader comes back last, when " +
				"another leads"},
	}
}
