// SPDX-License-Identifier: Apache-2.0

package wire

// resultField is fieldOf for the keys of results.
func resultField(name []byte) field {
	switch string(name) {
	case "found":
		return fieldFound
	case "siblings":
		return fieldSiblings
	case "timestamp_ms":
		return fieldTimestampMS
	case "expires_ms":
		return fieldExpiresMS
	case "deleted":
		return fieldDeleted
	case "ring_version":
		return fieldRingVersion
	case "more":
		return fieldMore
	case "sibling_count":
		return fieldSiblingCount
	case "results":
		return fieldResults
	case "error":
		return fieldError
	case "entries":
		return fieldEntries
	case "complete":
		return fieldComplete
	}
	return clusterField(name)
}

// clusterField is fieldOf for the keys of results about nodes, buckets and the cluster.
func clusterField(name []byte) field {
	switch string(name) {
	case "node":
		return fieldNode
	case "cluster":
		return fieldCluster
	case "limits":
		return fieldLimits
	case "message":
		return fieldMessage
	case "depth":
		return fieldDepth
	case "list":
		return fieldList
	case "in_flight":
		return fieldInFlight
	case "replicas":
		return fieldReplicas
	case "partitions":
		return fieldPartitions
	case "hash_seed":
		return fieldHashSeed
	case "members":
		return fieldMembers
	case "buckets":
		return fieldBuckets
	case "preference":
		return fieldPreference
	case "id":
		return fieldID
	case "zone":
		return fieldZone
	case "state":
		return fieldState
	case "ready":
		return fieldReady
	case "confirmed":
		return fieldConfirmed
	case "reason":
		return fieldReason
	case "addresses":
		return fieldAddresses
	case "peer":
		return fieldPeer
	case "gossip":
		return fieldGossip
	case "admin":
		return fieldAdmin
	case "n":
		return fieldN
	case "sloppy":
		return fieldSloppy
	case "resolve":
		return fieldResolve
	case "fenced":
		return fieldFenced
	}
	return lockField(name)
}
