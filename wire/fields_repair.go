// SPDX-License-Identifier: Apache-2.0

package wire

// repairField is fieldOf for the keys about replicas that are compared and repaired.
func repairField(name []byte) field {
	switch string(name) {
	case "round":
		return fieldRound
	case "for_ms":
		return fieldForMS
	case "paused_ms":
		return fieldPausedMS
	case "pairs":
		return fieldPairs
	case "settled":
		return fieldSettled
	case "running":
		return fieldRunning
	case "oldest_ms":
		return fieldOldestMS
	case "behind":
		return fieldBehind
	case "partition":
		return fieldPartition
	case "compared":
		return fieldCompared
	case "failed":
		return fieldFailed
	case "repaired":
		return fieldRepaired
	case "bytes":
		return fieldBytes
	case "scrub":
		return fieldScrub
	case "rounds":
		return fieldRounds
	case "done":
		return fieldDone
	case "damaged":
		return fieldDamaged
	case "mended":
		return fieldMended
	case "trees":
		return fieldTrees
	case "known":
		return fieldKnown
	case "owned":
		return fieldOwned
	case "builds":
		return fieldBuilds
	case "mismatches":
		return fieldMismatches
	case "refill":
		return fieldRefill
	case "phase":
		return fieldPhase
	case "source":
		return fieldSource
	case "sources":
		return fieldSources
	case "copied":
		return fieldCopied
	case "lost":
		return fieldLost
	case "without":
		return fieldWithout
	}
	return hintField(name)
}
