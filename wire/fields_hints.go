// SPDX-License-Identifier: Apache-2.0

package wire

// hintField is fieldOf for the keys about hints.
func hintField(name []byte) field {
	switch string(name) {
	case "point":
		return fieldPoint
	case "nodes":
		return fieldNodes
	case "counted":
		return fieldCounted
	case "delivered":
		return fieldDelivered
	case "sent":
		return fieldSent
	case "unkept":
		return fieldUnkept
	case "backlog":
		return fieldBacklog
	case "hints":
		return fieldHints
	case "markers":
		return fieldMarkers
	case "sends":
		return fieldSends
	case "tombstones":
		return fieldTombstones
	case "missing":
		return fieldMissing
	}
	return workField(name)
}

// workField is fieldOf for the keys about what a node has still to do.
func workField(name []byte) field {
	switch string(name) {
	case "work":
		return fieldWork
	case "unreadable":
		return fieldUnreadable
	case "purge":
		return fieldPurge
	case "epoch":
		return fieldEpoch
	case "open":
		return fieldOpen
	case "missed":
		return fieldMissed
	case "full":
		return fieldFull
	}
	return fieldNone
}
