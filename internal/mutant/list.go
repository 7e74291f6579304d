// SPDX-License-Identifier: Apache-2.0

package mutant

import "slices"

// The classic ones.
const (
	AckOneShort         Name = "ack-one-short"
	AckBeforeSync       Name = "ack-before-sync"
	KeepIncarnation     Name = "keep-incarnation"
	LastWriterWins      Name = "last-writer-wins"
	ContextCoversUnseen Name = "context-covers-unseen"
	PutIgnoresContext   Name = "put-ignores-context"
	PutOverwrites       Name = "put-overwrites"
	RepairWrongContext  Name = "repair-wrong-context"
	CommitErrorIgnored  Name = "commit-error-ignored"
	UnreadableIsAbsent  Name = "unreadable-is-absent"
	RefusedStoreServes  Name = "refused-store-serves"
	LateReplyTaken      Name = "late-reply-taken"
	NoRejoin            Name = "no-rejoin"
)

// Those against the rules of ARCHITECTURE 4 to 6.
const (
	PutContextWhole     Name = "put-context-whole"
	NoCollapse          Name = "no-collapse"
	RequestsForgotten   Name = "requests-forgotten"
	BlindDelete         Name = "blind-delete"
	RetriedDeleteCovers Name = "retried-delete-covers"
	CopyReplaces        Name = "copy-replaces"
	KeepNotAwaited      Name = "keep-not-awaited"
	FetchedNotChecked   Name = "fetched-not-checked"
	CleanMarkStays      Name = "clean-mark-stays"
	NotReadyIsNotFound  Name = "not-ready-is-not-found"
	ReadOneShort        Name = "read-one-short"
	DigestsNotCompared  Name = "digests-not-compared"
	ReadUnites          Name = "read-unites"
	NoWriteBack         Name = "no-write-back"
	UnknownIsNone       Name = "unknown-is-none"
)

// Those of a refill (docs/adr/0022).
const (
	CopyBeforeFences Name = "copy-before-fences"
	FillingCounts    Name = "filling-counts"
	FillingServes    Name = "filling-serves"
)

// Those of the metadata group and its locks.
const (
	LeasesGoOn         Name = "leases-go-on"
	FenceFromMemory    Name = "fence-from-memory"
	LeaderUnconfirmed  Name = "leader-unconfirmed"
	RenewalUnconfirmed Name = "renewal-unconfirmed"
	LostSeatVotes      Name = "lost-seat-votes"
	VoteBeforeSync     Name = "vote-before-sync"
)

// All returns every mutant, in order of their numbers, the classic ones first. Numbers
// with M are those of the list that the rig must kill; those that are left out need parts
// that do not exist yet. KilledBy names what should meet them by chance; nearly all have an
// exact schedule as well (package sim, TestSchedulesAreRedWithoutTheirRule).
func All() []Info {
	return slices.Concat(classic(), ofThisDesign(), ofTheGroup(), ofARefill())
}

func classic() []Info {
	return []Info{
		{AckOneShort, "M1", "a write is acknowledged by w-1 nodes",
			"white box: acknowledged by fewer than w; loss after a power loss"},
		{AckBeforeSync, "M2", "a write is answered before its commit",
			"white box: no sync before the answer; power loss of all hosts"},
		{KeepIncarnation, "M5", "an incarnation goes on after any stop, from the highest " +
			"counter that the key shows", "white box: a dot twice; power loss of one host"},
		{LastWriterWins, "M9", "a merge keeps the version of the highest stamp alone",
			"causal: lost update; set"},
		{ContextCoversUnseen, "M10", "a read's context covers siblings that it does not show",
			"causal: lost update, by contexts of reads of copies that differ"},
		{PutIgnoresContext, "M11a", "a put overwrites nothing", "causal: false sibling"},
		{PutOverwrites, "M11b", "a put overwrites all that is there", "causal: lost update; set"},
		{RepairWrongContext, "M12", "a read repair sends old versions under the new context",
			"causal: lost update, after partitions or slow hosts"},
		{CommitErrorIgnored, "M20", "a failed commit is acknowledged, and the store goes on",
			"failures of the disk, then power loss"},
		{UnreadableIsAbsent, "M21", "a damaged record is taken for none",
			"flipped bits: lost update, or a dot that comes back"},
		{RefusedStoreServes, "M22", "a store that the group has refused serves as before",
			"a wiped or restored disk beside a slow host: lost update"},
		{LateReplyTaken, "M23", "a call that is given up leaves its message id to the next, " +
			"which takes the late answer for its own", "pauses: values of other keys, phantoms"},
		{NoRejoin, "M24", "gossip looks once for members, and never again",
			"views of gossip after a partition of more than a minute"},
	}
}

func ofThisDesign() []Info {
	return []Info{
		{PutContextWhole, "X1", "the context of a put's answer is all that the object has seen",
			"Schedules: a blind put after a blind put; causal: lost update"},
		{NoCollapse, "X2", "versions of one request never collapse",
			"Schedules: a retry through another coordinator; causal: more siblings than writes"},
		{RequestsForgotten, "X3", "a retry gets a new dot at the coordinator that knows it",
			"white box: two dots of one request at one node; causal: false sibling"},
		{BlindDelete, "X4", "a delete with the context of nothing deletes what it finds",
			"causal: lost update, in a workload with many deletes"},
		{RetriedDeleteCovers, "X5", "the answer to a retried delete covers what came between " +
			"the tries", "causal: lost update, in a workload with many deletes"},
		{CopyReplaces, "X6", "a replica stores a copy in the place of its own",
			"Schedules: data sent late; causal: lost update, resurrection; white box: a " +
				"context shrinks"},
		{KeepNotAwaited, "X7", "what changes nothing is answered before what it rests on is " +
			"durable", "white box: no sync before the answer, for a retry during its first try"},
		{FetchedNotChecked, "X8", "an object that was read ahead is used although the key was " +
			"committed since", "set, with a version cache of a few keys and many writers"},
		{CleanMarkStays, "X9", "an opening leaves the clean mark where it is",
			"white box: a dot twice; stop, start, power loss"},
		{NotReadyIsNotFound, "X10", "a replica that is not ready says not found, and counts",
			"a wiped disk; causal: lost update in strict reads"},
		{ReadOneShort, "X11", "a read ends with r-1 answers",
			"causal: strict reads; session, with writes of w and reads of r above n"},
		{DigestsNotCompared, "X12", "a read answers with one copy although the digests differ",
			"causal: strict reads; session"},
		{ReadUnites, "X13", "a read shows the versions of two copies side by side",
			"causal: false sibling, or a value twice, where copies differ"},
		{NoWriteBack, "X14", "an atomic read answers without its write-back",
			"causal: atomic reads that go back behind each other, while writes are open"},
		{UnknownIsNone, "X15", "a write that may be stored is answered as UNAVAILABLE",
			"causal: phantom, a failed write that is shown"},
	}
}

func ofARefill() []Info {
	return []Info{
		{CopyBeforeFences, "X19", "other owners are copied without being fenced before",
			"white box: refill; Schedules: a wipe while an acknowledgement is under way"},
		{FillingCounts, "X20", "a write counts the acknowledgement of a store that is being filled",
			"white box: acknowledged by fewer than w; Schedules: two stores that are lost one " +
				"after the other"},
		{FillingServes, "X21", "a store serves before it is proven full",
			"Schedules: a store that is being filled; causal: lost update in strict reads"},
	}
}

func ofTheGroup() []Info {
	return []Info{
		{LeasesGoOn, "M17", "a new leader takes sessions for renewed when it was elected less " +
			"their usual time to live, not when it was elected", "locks: session-gone, lock-gone"},
		{FenceFromMemory, "M18", "fences come from a counter that a restored snapshot begins anew",
			"locks: equal-fences, fence-order; the group's own comparison of states"},
		{LeaderUnconfirmed, "M19", "a leader answers reads and renewals without asking whether it " +
			"still leads", "stale lock reads; locks: session-gone"},
		{RenewalUnconfirmed, "X16", "a leader answers renewals without asking whether it still leads",
			"locks: session-gone, late-loss, while a leader is cut off"},
		{LostSeatVotes, "X17", "a seat goes on although its store is an older copy",
			"Schedules: a voter that is restored; locks, after a restored disk"},
		{VoteBeforeSync, "X18", "a seat answers votes and entries before they are durable",
			"white box: committed before a majority has it; loss of power of all seats while their " +
				"disks stand: two entries under one index, states that differ"},
	}
}
