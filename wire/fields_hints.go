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
	return fieldNone
}
