// SPDX-License-Identifier: Apache-2.0

package wire

// lockField is fieldOf for the keys of sessions and locks.
func lockField(name []byte) field {
	switch string(name) {
	case "session":
		return fieldSession
	case "holder":
		return fieldHolder
	case "done_through":
		return fieldDoneThrough
	case "kind":
		return fieldKind
	case "wait_ms":
		return fieldWaitMS
	case "stale":
		return fieldStale
	case "index":
		return fieldIndex
	case "queued":
		return fieldQueued
	case "position":
		return fieldPosition
	case "released":
		return fieldReleased
	case "sessions":
		return fieldSessions
	case "owner":
		return fieldOwner
	case "since":
		return fieldSince
	case "locks":
		return fieldLocks
	case "holders":
		return fieldHolders
	case "waiters":
		return fieldWaiters
	case "holder_count":
		return fieldHolderCount
	case "waiter_count":
		return fieldWaiterCount
	}
	return groupField(name)
}

// groupField is fieldOf for the keys about the metadata group, and of joining.
func groupField(name []byte) field {
	switch string(name) {
	case "weight":
		return fieldWeight
	case "expect":
		return fieldExpect
	case "seat":
		return fieldSeat
	case "role":
		return fieldRole
	case "leader":
		return fieldLeader
	case "term":
		return fieldTerm
	case "applied":
		return fieldApplied
	case "committed":
		return fieldCommitted
	case "generation":
		return fieldGeneration
	case "raft":
		return fieldRaft
	case "match":
		return fieldMatch
	case "instance":
		return fieldInstance
	case "left":
		return fieldLeft
	case "accepted":
		return fieldAccepted
	case "refused":
		return fieldRefused
	case "offset":
		return fieldOffset
	case "size":
		return fieldSize
	case "checksum":
		return fieldChecksum
	case "chunk":
		return fieldChunk
	}
	return repairField(name)
}
