// SPDX-License-Identifier: Apache-2.0

package quorum

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
)

// Result is what became of a request at one replica.
type Result uint8

const (
	// ResultStored: the write is durable at this replica, or was before.
	ResultStored Result = 1 + iota
	// ResultFound: the read found the key; a tombstone is found too.
	ResultFound
	// ResultNotFound: the read was answered, and the replica holds nothing.
	ResultNotFound
	// ResultRefused: the replica stored nothing and never will, because it said so
	// before it touched anything: not_owner, a placement that it has left, overloaded,
	// shutting down, expired on arrival.
	ResultRefused
	// ResultNotSent: the request never left this node, and never will.
	ResultNotSent
	// ResultFenced: refused, because a newer holder's fence is promised for the key.
	// The replica stored nothing.
	ResultFenced
	// ResultFailed: sent, and no usable answer came: a lost connection, a deadline, a
	// storage error, an answer that makes no sense. It may have been stored.
	ResultFailed
)

func (r Result) String() string {
	switch r {
	case ResultStored:
		return "stored"
	case ResultFound:
		return "found"
	case ResultNotFound:
		return "not-found"
	case ResultRefused:
		return "refused"
	case ResultNotSent:
		return "not-sent"
	case ResultFenced:
		return "fenced"
	case ResultFailed:
		return "failed"
	default:
		return fmt.Sprintf("result(%d)", uint8(r))
	}
}

// failure is the standing of an answer that brings nothing. Results that do not fit
// the request, or are unknown, are failures too: nobody can tell what they left.
func (r Result) failure() Standing {
	switch r {
	case ResultRefused:
		return StandingRefused
	case ResultNotSent:
		return StandingNotSent
	case ResultFenced:
		return StandingFenced
	default:
		return StandingFailed
	}
}

// Reply is one replica's answer, in its own words: it states what it is and at which
// layout and life of its store it answered. Rounds count these statements and never
// the plan that led to them (TRAPS S2). Where the shell answers for a replica
// (nothing sent, nothing heard) only Node, Slot, Result and Reason matter.
type Reply struct {
	// Node is the replica, as authenticated by its connection.
	Node kv.NodeID
	// Role is what the replica says it is for this key.
	Role kv.Role
	// Result is what it did.
	Result Result
	// Confirmed says that the group has confirmed the store's open_seq since the
	// store was opened; without it the reply counts for r and w only.
	Confirmed bool
	// Slot is the slot that a fallback's hint is addressed to. Only writes look at
	// it, and only where Node is not a member.
	Slot int
	// Version is the placement version of the partition at the replica.
	Version kv.PlacementVersion
	// Instance is the life of the store that answered.
	Instance kv.Instance
	// Reason is a short constant for the error text, such as "OVERLOADED".
	Reason string
}

// Target is a replica that the caller is to ask now.
type Target struct {
	Node kv.NodeID
	// Slot is the slot whose member Node is, or that the hint is to be addressed to.
	// It is -1 for the fallbacks of a read, which answer for whatever they hold.
	Slot int
	// Role is RoleOwner or RoleFallback: what the replica is asked as.
	Role kv.Role
}

// Standing is how a round sees one replica.
type Standing uint8

const (
	// StandingNotAsked: nothing was sent, so nothing it says counts.
	StandingNotAsked Standing = 1 + iota
	// StandingAsked: an answer is awaited.
	StandingAsked
	// StandingLate: as StandingAsked, but another one is asked in its place.
	StandingLate
	// StandingCounted: answered, and counts for everything.
	StandingCounted
	// StandingUnconfirmed: answered, and counts for r and w, not for pr and pw.
	StandingUnconfirmed
	// StandingEmpty: a fallback that holds nothing of the key (TRAPS S3).
	StandingEmpty
	// StandingRefused: ResultRefused.
	StandingRefused
	// StandingNotSent: ResultNotSent.
	StandingNotSent
	// StandingFenced: ResultFenced.
	StandingFenced
	// StandingFailed: ResultFailed, or a result that does not fit the request.
	StandingFailed
	// StandingOtherInstance: answered by another life of the store.
	StandingOtherInstance
	// StandingOlderPlacement: answered by a layout older than the round's.
	StandingOlderPlacement
	// StandingOtherRole: answered in a role that does not count here.
	StandingOtherRole
)

func (s Standing) String() string {
	switch s {
	case StandingNotAsked:
		return "not asked"
	case StandingAsked:
		return "no answer yet"
	case StandingLate:
		return "late"
	case StandingCounted:
		return "counted"
	case StandingUnconfirmed:
		return "counted, unconfirmed"
	case StandingEmpty:
		return "fallback without the key"
	case StandingRefused:
		return "refused"
	case StandingNotSent:
		return "could not be asked"
	case StandingFenced:
		return "fenced"
	case StandingFailed:
		return "failed"
	case StandingOtherInstance:
		return "another instance"
	case StandingOlderPlacement:
		return "an older placement"
	case StandingOtherRole:
		return "in another role"
	default:
		return fmt.Sprintf("standing(%d)", uint8(s))
	}
}

// open reports that an answer may still come.
func (s Standing) open() bool { return s == StandingAsked || s == StandingLate }

// counts reports that the answer counts for r or w.
func (s Standing) counts() bool { return s == StandingCounted || s == StandingUnconfirmed }

// mayHoldWrite reports that the replica stored the write, or may have, or may yet.
func (s Standing) mayHoldWrite() bool {
	switch s {
	case StandingNotAsked, StandingNotSent, StandingRefused, StandingFenced:
		return false
	default:
		return true
	}
}
