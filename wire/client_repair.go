// SPDX-License-Identifier: Apache-2.0

package wire

// MaxPauseMS is the longest that repairs may be paused at a time, in milliseconds: a day.
const MaxPauseMS = 24 * 3600 * 1000

// RepairWaitRequest asks how far a round of the answering node's repairs is, and waits for
// its end as long as the request may.
type RepairWaitRequest struct {
	Common
	Round uint64
}

// AppendRepairWaitRequest appends the params of repair.wait.
func AppendRepairWaitRequest(dst []byte, q *RepairWaitRequest) []byte {
	w := beginParams(dst)
	w.uint(fieldRound, q.Round)
	w.common(q.Common)
	return w.end()
}

// DecodeRepairWaitRequest reads the params of repair.wait.
func DecodeRepairWaitRequest(params []byte, into *RepairWaitRequest) error {
	*into = RepairWaitRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldRound:
			into.Round = q.uint64()
		default:
			q.common(f, &into.Common)
		}
	}
	q.require(fieldRound)
	return q.finish()
}

// RepairPauseRequest has the answering node compare and repair nothing for a while.
type RepairPauseRequest struct {
	Common
	ForMS uint32 // 1 to MaxPauseMS
}

// AppendRepairPauseRequest appends the params of repair.pause.
func AppendRepairPauseRequest(dst []byte, q *RepairPauseRequest) []byte {
	w := beginParams(dst)
	w.uint(fieldForMS, uint64(q.ForMS))
	w.common(q.Common)
	return w.end()
}

// DecodeRepairPauseRequest reads the params of repair.pause.
func DecodeRepairPauseRequest(params []byte, into *RepairPauseRequest) error {
	*into = RepairPauseRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldForMS:
			into.ForMS = uint32(q.uint(MaxPauseMS))
			if into.ForMS == 0 && q.err == nil {
				q.fail(invalid(q.field, "must be at least 1"))
			}
		default:
			q.common(f, &into.Common)
		}
	}
	q.require(fieldForMS)
	return q.finish()
}

// RepairState is how a comparison of two replicas ended. A client may meet states of later
// releases.
type RepairState string

// RepairBehind is a partition whose owners are not known to hold the same.
type RepairBehind struct {
	Partition uint16
	Node      string // the other owner
	State     RepairState
	Reason    string
}

// ScrubStatus is how far a node is with reading its own records again.
type ScrubStatus struct {
	Rounds           uint64 // that it has finished since it started
	Done, Partitions uint64 // of the present round
	Keys, Bytes      uint64 // read since it started
	Damaged          uint64 // records that are known not to be readable
	Mended           uint64 // since it started
}

// TreeStatus tells of a node's trees.
type TreeStatus struct {
	Known, Owned uint64 // partitions whose tree is known, of those that the node owns
	Builds       uint64 // since it started
	Mismatches   uint64 // builds that came to another tree than the one that was there
}

// RepairStatusResult answers repair.status, repair.run and repair.wait: how the answering
// node's comparisons with the other owners of its partitions stand.
type RepairStatusResult struct {
	Node string
	// PausedMS is how long nothing is compared yet, in milliseconds; 0: it goes on.
	PausedMS uint64
	// Round is the one that Settled is told of: of Pairs pairs of a partition and another of
	// its owners so many are known to hold the same, as of some time after it began.
	Round          uint64
	Pairs, Settled uint64
	Running        uint64 // comparisons under way
	// OldestMS is how long ago, in milliseconds, the pair was found to hold the same that has
	// waited longest for it; Never says that one never was since the node started.
	OldestMS uint64
	Never    bool
	Behind   []RepairBehind // some of those that are not
	// Since the node started: comparisons that ended, those of them that failed, keys that
	// were brought together, and the bytes of objects that this took.
	Compared, Failed, Repaired, Bytes uint64
	Scrub                             ScrubStatus
	Trees                             TreeStatus
	// Refill is how far the node is with filling its store; nil where that is not to be filled.
	// While it is, no round of this node or of another owner is over.
	Refill *RefillStatus
}

// AppendRepairStatusResult appends the result of repair.status, repair.run or repair.wait.
func AppendRepairStatusResult(dst []byte, a *RepairStatusResult) []byte {
	w := beginMap(dst)
	w.str(fieldNode, a.Node)
	w.uintIfSet(fieldPausedMS, a.PausedMS)
	w.uint(fieldRound, a.Round)
	w.uint(fieldPairs, a.Pairs)
	w.uint(fieldSettled, a.Settled)
	w.uint(fieldRunning, a.Running)
	if !a.Never {
		w.uint(fieldOldestMS, a.OldestMS)
	}
	w.array(fieldBehind, len(a.Behind))
	for i := range a.Behind {
		b := &a.Behind[i]
		m := beginMap(w.dst)
		m.uint(fieldPartition, uint64(b.Partition))
		m.str(fieldNode, b.Node)
		m.str(fieldState, string(b.State))
		m.strIfSet(fieldReason, b.Reason)
		w.dst = m.end()
	}
	w.uint(fieldCompared, a.Compared)
	w.uint(fieldFailed, a.Failed)
	w.uint(fieldRepaired, a.Repaired)
	w.uint(fieldBytes, a.Bytes)
	w.scrub(&a.Scrub)
	w.trees(&a.Trees)
	if a.Refill != nil {
		w.refill(a.Refill)
	}
	return w.end()
}

func (w *mapWriter) scrub(s *ScrubStatus) {
	w.key(fieldScrub)
	m := beginMap(w.dst)
	m.uint(fieldRounds, s.Rounds)
	m.uint(fieldDone, s.Done)
	m.uint(fieldPartitions, s.Partitions)
	m.uint(fieldKeys, s.Keys)
	m.uint(fieldBytes, s.Bytes)
	m.uint(fieldDamaged, s.Damaged)
	m.uint(fieldMended, s.Mended)
	w.dst = m.end()
}

func (w *mapWriter) trees(t *TreeStatus) {
	w.key(fieldTrees)
	m := beginMap(w.dst)
	m.uint(fieldKnown, t.Known)
	m.uint(fieldOwned, t.Owned)
	m.uint(fieldBuilds, t.Builds)
	m.uint(fieldMismatches, t.Mismatches)
	w.dst = m.end()
}

// DecodeRepairStatusResult reads the result of repair.status, repair.run or repair.wait.
func DecodeRepairStatusResult(result []byte, into *RepairStatusResult) error {
	*into = RepairStatusResult{Never: true}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldNode:
			into.Node = r.text(MaxName)
		case fieldPausedMS:
			into.PausedMS = r.uint64()
		case fieldRound:
			into.Round = r.uint64()
		case fieldPairs:
			into.Pairs = r.uint64()
		case fieldSettled:
			into.Settled = r.uint64()
		case fieldRunning:
			into.Running = r.uint64()
		case fieldOldestMS:
			into.OldestMS, into.Never = r.uint64(), false
		case fieldBehind:
			into.Behind = elements(&r, r.array(minRepairBehind), (*reader).repairBehind)
		case fieldScrub:
			into.Scrub = r.scrub()
		case fieldTrees:
			into.Trees = r.trees()
		case fieldRefill:
			into.Refill = r.refill()
		default:
			r.repairCount(f, into)
		}
	}
	return r.finish()
}

// repairCount reads one of the counters.
func (r *reader) repairCount(f field, into *RepairStatusResult) {
	switch f {
	case fieldCompared:
		into.Compared = r.uint64()
	case fieldFailed:
		into.Failed = r.uint64()
	case fieldRepaired:
		into.Repaired = r.uint64()
	case fieldBytes:
		into.Bytes = r.uint64()
	default:
		r.skip()
	}
}

// minRepairBehind is the least that an encoded pair takes: a map with its partition, node
// and state.
const minRepairBehind = 1 + (10 + 1) + (5 + 1) + (6 + 1)

func (r *reader) repairBehind() (b RepairBehind) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldPartition:
			b.Partition = r.uint16()
		case fieldNode:
			b.Node = r.text(MaxName)
		case fieldState:
			b.State = RepairState(r.text(MaxName))
		case fieldReason:
			b.Reason = r.text(len(r.b))
		default:
			r.skip()
		}
	}
	return b
}

func (r *reader) scrub() (s ScrubStatus) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldRounds:
			s.Rounds = r.uint64()
		case fieldDone:
			s.Done = r.uint64()
		case fieldPartitions:
			s.Partitions = r.uint64()
		case fieldKeys:
			s.Keys = r.uint64()
		case fieldBytes:
			s.Bytes = r.uint64()
		case fieldDamaged:
			s.Damaged = r.uint64()
		case fieldMended:
			s.Mended = r.uint64()
		default:
			r.skip()
		}
	}
	return s
}

func (r *reader) trees() (t TreeStatus) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldKnown:
			t.Known = r.uint64()
		case fieldOwned:
			t.Owned = r.uint64()
		case fieldBuilds:
			t.Builds = r.uint64()
		case fieldMismatches:
			t.Mismatches = r.uint64()
		default:
			r.skip()
		}
	}
	return t
}
