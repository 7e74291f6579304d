// SPDX-License-Identifier: Apache-2.0

package wire

// field is a key of the protocol's maps. Encoders and decoders share this one list, so
// that no key can be spelled in two ways.
type field uint8

const (
	fieldNone field = iota // no key, or one that this release does not know
	fieldBucket
	fieldKey
	fieldValue
	fieldContext
	fieldR
	fieldW
	fieldPR
	fieldPW
	fieldAtomic
	fieldMetaOnly
	fieldSkip
	fieldTTLMS
	fieldRequestID
	fieldFence
	fieldReturnSiblings
	fieldKeys
	fieldPrefix
	fieldCursor
	fieldLimit
	fieldKeysOnly
	fieldTimeoutMS
	fieldTrace
	fieldClient
	fieldVersion
	fieldProto
	fieldFeatures
	fieldAuth
	fieldName
	fieldN
	fieldSloppy
	fieldResolve
	fieldFenced
	fieldReason
	fieldCluster
	fieldZone
	fieldAddresses
	fieldReplicas
	fieldSession
	fieldHolder
	fieldDoneThrough
	fieldKind
	fieldWaitMS
	fieldStale
	fieldIndex
	fieldOffset
	fieldWeight
	fieldExpect
	fieldRound
	fieldForMS
	fieldInstance
	fieldWithout
	fieldPoint
	fieldFound
	fieldSiblings
	fieldTimestampMS
	fieldExpiresMS
	fieldDeleted
	fieldRingVersion
	fieldMore
	fieldSiblingCount
	fieldResults
	fieldError
	fieldEntries
	fieldComplete
	fieldNode
	fieldLimits
	fieldMessage
	fieldDepth
	fieldList
	fieldInFlight
	fieldPartitions
	fieldHashSeed
	fieldMembers
	fieldBuckets
	fieldPreference
	fieldID
	fieldState
	fieldReady
	fieldConfirmed
	fieldPeer
	fieldGossip
	fieldAdmin
	fieldQueued
	fieldPosition
	fieldReleased
	fieldSessions
	fieldOwner
	fieldSince
	fieldLocks
	fieldHolders
	fieldWaiters
	fieldHolderCount
	fieldWaiterCount
	fieldSeat
	fieldRole
	fieldLeader
	fieldTerm
	fieldApplied
	fieldCommitted
	fieldGeneration
	fieldRaft
	fieldMatch
	fieldLeft
	fieldRefused
	fieldAccepted
	fieldSize
	fieldChecksum
	fieldChunk
	fieldPausedMS
	fieldPairs
	fieldSettled
	fieldRunning
	fieldOldestMS
	fieldBehind
	fieldPartition
	fieldCompared
	fieldFailed
	fieldRepaired
	fieldBytes
	fieldScrub
	fieldRounds
	fieldDone
	fieldDamaged
	fieldMended
	fieldTrees
	fieldKnown
	fieldOwned
	fieldBuilds
	fieldMismatches
	fieldRefill
	fieldPhase
	fieldSource
	fieldSources
	fieldCopied
	fieldLost
	fieldNodes
	fieldCounted
	fieldDelivered
	fieldSent
	fieldUnkept
	fieldBacklog
	fieldHints
	fieldMarkers
	fieldSends
	fieldMissing
	fieldTombstones
	fieldWork
	fieldUnreadable
	fieldPurge
	fieldEpoch
	fieldOpen
	fieldMissed
	fieldFull
	fieldCount

	// lastRequestField is the last key of requests: those are told apart by a bit each.
	lastRequestField = fieldPoint
)

// fieldNames are the keys as they cross the network.
var fieldNames = [fieldCount]string{
	fieldBucket:         "bucket",
	fieldKey:            "key",
	fieldValue:          "value",
	fieldContext:        "context",
	fieldR:              "r",
	fieldW:              "w",
	fieldPR:             "pr",
	fieldPW:             "pw",
	fieldAtomic:         "atomic",
	fieldMetaOnly:       "meta_only",
	fieldSkip:           "skip",
	fieldTTLMS:          "ttl_ms",
	fieldRequestID:      "request_id",
	fieldFence:          "fence",
	fieldReturnSiblings: "return_siblings",
	fieldKeys:           "keys",
	fieldPrefix:         "prefix",
	fieldCursor:         "cursor",
	fieldLimit:          "limit",
	fieldKeysOnly:       "keys_only",
	fieldTimeoutMS:      "timeout_ms",
	fieldTrace:          "trace",
	fieldClient:         "client",
	fieldVersion:        "version",
	fieldProto:          "proto",
	fieldFeatures:       "features",
	fieldAuth:           "auth",
	fieldName:           "name",
	fieldFound:          "found",
	fieldSiblings:       "siblings",
	fieldTimestampMS:    "timestamp_ms",
	fieldExpiresMS:      "expires_ms",
	fieldDeleted:        "deleted",
	fieldRingVersion:    "ring_version",
	fieldMore:           "more",
	fieldSiblingCount:   "sibling_count",
	fieldResults:        "results",
	fieldError:          "error",
	fieldEntries:        "entries",
	fieldComplete:       "complete",
	fieldNode:           "node",
	fieldCluster:        "cluster",
	fieldLimits:         "limits",
	fieldMessage:        "message",
	fieldDepth:          "depth",
	fieldList:           "list",
	fieldInFlight:       "in_flight",
	fieldReplicas:       "replicas",
	fieldPartitions:     "partitions",
	fieldHashSeed:       "hash_seed",
	fieldMembers:        "members",
	fieldBuckets:        "buckets",
	fieldPreference:     "preference",
	fieldID:             "id",
	fieldZone:           "zone",
	fieldState:          "state",
	fieldReady:          "ready",
	fieldConfirmed:      "confirmed",
	fieldReason:         "reason",
	fieldAddresses:      "addresses",
	fieldPeer:           "peer",
	fieldGossip:         "gossip",
	fieldAdmin:          "admin",
	fieldN:              "n",
	fieldSloppy:         "sloppy",
	fieldResolve:        "resolve",
	fieldFenced:         "fenced",
	fieldSession:        "session",
	fieldHolder:         "holder",
	fieldDoneThrough:    "done_through",
	fieldKind:           "kind",
	fieldWaitMS:         "wait_ms",
	fieldStale:          "stale",
	fieldWeight:         "weight",
	fieldExpect:         "expect",
	fieldQueued:         "queued",
	fieldPosition:       "position",
	fieldIndex:          "index",
	fieldReleased:       "released",
	fieldSessions:       "sessions",
	fieldOwner:          "owner",
	fieldSince:          "since",
	fieldLocks:          "locks",
	fieldHolders:        "holders",
	fieldWaiters:        "waiters",
	fieldHolderCount:    "holder_count",
	fieldWaiterCount:    "waiter_count",
	fieldSeat:           "seat",
	fieldRole:           "role",
	fieldLeader:         "leader",
	fieldTerm:           "term",
	fieldApplied:        "applied",
	fieldCommitted:      "committed",
	fieldGeneration:     "generation",
	fieldRaft:           "raft",
	fieldMatch:          "match",
	fieldInstance:       "instance",
	fieldLeft:           "left",
	fieldRefused:        "refused",
	fieldAccepted:       "accepted",
	fieldOffset:         "offset",
	fieldSize:           "size",
	fieldChecksum:       "checksum",
	fieldChunk:          "chunk",
	fieldRound:          "round",
	fieldForMS:          "for_ms",
	fieldPausedMS:       "paused_ms",
	fieldPairs:          "pairs",
	fieldSettled:        "settled",
	fieldRunning:        "running",
	fieldOldestMS:       "oldest_ms",
	fieldBehind:         "behind",
	fieldPartition:      "partition",
	fieldCompared:       "compared",
	fieldFailed:         "failed",
	fieldRepaired:       "repaired",
	fieldBytes:          "bytes",
	fieldScrub:          "scrub",
	fieldRounds:         "rounds",
	fieldDone:           "done",
	fieldDamaged:        "damaged",
	fieldMended:         "mended",
	fieldTrees:          "trees",
	fieldKnown:          "known",
	fieldOwned:          "owned",
	fieldBuilds:         "builds",
	fieldMismatches:     "mismatches",
	fieldRefill:         "refill",
	fieldPhase:          "phase",
	fieldSource:         "source",
	fieldSources:        "sources",
	fieldCopied:         "copied",
	fieldLost:           "lost",
	fieldWithout:        "without",
	fieldPoint:          "point",
	fieldNodes:          "nodes",
	fieldCounted:        "counted",
	fieldDelivered:      "delivered",
	fieldSent:           "sent",
	fieldUnkept:         "unkept",
	fieldBacklog:        "backlog",
	fieldHints:          "hints",
	fieldMarkers:        "markers",
	fieldSends:          "sends",
	fieldMissing:        "missing",
	fieldTombstones:     "tombstones",
	fieldWork:           "work",
	fieldUnreadable:     "unreadable",
	fieldPurge:          "purge",
	fieldEpoch:          "epoch",
	fieldOpen:           "open",
	fieldMissed:         "missed",
	fieldFull:           "full",
}

func (f field) String() string { return fieldNames[f] }

// fieldOf is the inverse of String, and fieldNone for any other key. A switch over
// strings finds a key without hashing it; requests, the hot ones, come first.
func fieldOf(name []byte) field {
	switch string(name) {
	case "bucket":
		return fieldBucket
	case "key":
		return fieldKey
	case "value":
		return fieldValue
	case "context":
		return fieldContext
	case "r":
		return fieldR
	case "w":
		return fieldW
	case "pr":
		return fieldPR
	case "pw":
		return fieldPW
	case "atomic":
		return fieldAtomic
	case "meta_only":
		return fieldMetaOnly
	case "skip":
		return fieldSkip
	case "ttl_ms":
		return fieldTTLMS
	case "request_id":
		return fieldRequestID
	case "fence":
		return fieldFence
	case "return_siblings":
		return fieldReturnSiblings
	case "keys":
		return fieldKeys
	case "prefix":
		return fieldPrefix
	case "cursor":
		return fieldCursor
	case "limit":
		return fieldLimit
	case "keys_only":
		return fieldKeysOnly
	case "timeout_ms":
		return fieldTimeoutMS
	case "trace":
		return fieldTrace
	case "client":
		return fieldClient
	case "version":
		return fieldVersion
	case "proto":
		return fieldProto
	case "features":
		return fieldFeatures
	case "auth":
		return fieldAuth
	case "name":
		return fieldName
	}
	return resultField(name)
}
