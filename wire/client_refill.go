// SPDX-License-Identifier: Apache-2.0

package wire

import "github.com/dyno-kv/dyno/kv"

// RefillPhase is what is done for a store that is being filled. A client may meet phases of
// later releases.
type RefillPhase string

// RefillStatus is how far a node is with filling its store, which was lost.
type RefillStatus struct {
	// Instance is the store's present life.
	Instance kv.Instance
	// Phase is what is done now, with the owner Source: so many of Partitions are done.
	Phase            RefillPhase
	Source           string
	Done, Partitions uint64
	// Of Pairs pairs of a partition and an owner that is to be copied so many were copied.
	Pairs, Copied uint64
	Keys          uint64 // that were stored since the node started
	// Sources are the owners that were copied, Missing those that are still to be fenced and
	// copied: none of them can be done without, but by an operator's word.
	Sources, Missing []string
	// Lost are the partitions that no intact owner is left of: nobody has what the lost store
	// had.
	Lost []uint16
	// Accepted: an operator has accepted that, and that Without are not waited for.
	Accepted bool
	Without  []string
	Reason   string // the last failure, which is tried again
}

func (w *mapWriter) refill(f *RefillStatus) {
	w.key(fieldRefill)
	m := beginMap(w.dst)
	m.uint(fieldInstance, uint64(f.Instance))
	m.str(fieldPhase, string(f.Phase))
	m.strIfSet(fieldSource, f.Source)
	m.uint(fieldDone, f.Done)
	m.uint(fieldPartitions, f.Partitions)
	m.uint(fieldPairs, f.Pairs)
	m.uint(fieldCopied, f.Copied)
	m.uint(fieldKeys, f.Keys)
	m.strsIfAny(fieldSources, f.Sources)
	m.strsIfAny(fieldMissing, f.Missing)
	if len(f.Lost) > 0 {
		m.array(fieldLost, len(f.Lost))
		for _, p := range f.Lost {
			m.dst = appendUint(m.dst, uint64(p))
		}
	}
	m.boolIfSet(fieldAccepted, f.Accepted)
	m.strsIfAny(fieldWithout, f.Without)
	m.strIfSet(fieldReason, f.Reason)
	w.dst = m.end()
}

func (w *mapWriter) strsIfAny(f field, list []string) {
	if len(list) > 0 {
		w.strs(f, list)
	}
}

func (r *reader) refill() *RefillStatus {
	into := &RefillStatus{}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldInstance:
			into.Instance = kv.Instance(r.uint64())
		case fieldPhase:
			into.Phase = RefillPhase(r.text(MaxName))
		case fieldSource:
			into.Source = r.text(MaxName)
		case fieldSources:
			into.Sources = r.texts()
		case fieldMissing:
			into.Missing = r.texts()
		case fieldLost:
			into.Lost = elements(r, r.array(1), (*reader).uint16)
		case fieldAccepted:
			into.Accepted = r.bool()
		case fieldWithout:
			into.Without = r.texts()
		case fieldReason:
			into.Reason = r.text(len(r.b))
		default:
			r.refillCount(f, into)
		}
	}
	return into
}

// refillCount reads one of the numbers.
func (r *reader) refillCount(f field, into *RefillStatus) {
	switch f {
	case fieldDone:
		into.Done = r.uint64()
	case fieldPartitions:
		into.Partitions = r.uint64()
	case fieldPairs:
		into.Pairs = r.uint64()
	case fieldCopied:
		into.Copied = r.uint64()
	case fieldKeys:
		into.Keys = r.uint64()
	default:
		r.skip()
	}
}

// AcceptLossRequest is an operator's word about the refill of the answering node's store:
// what no intact owner has is lost, and the owners Without are not waited for.
type AcceptLossRequest struct {
	Common
	// Instance is the life of the store that the word is about.
	Instance kv.Instance
	Without  []string
}

// AppendAcceptLossRequest appends the params of repair.accept_loss.
func AppendAcceptLossRequest(dst []byte, q *AcceptLossRequest) []byte {
	w := beginParams(dst)
	w.uint(fieldInstance, uint64(q.Instance))
	w.strsIfAny(fieldWithout, q.Without)
	w.common(q.Common)
	return w.end()
}

// DecodeAcceptLossRequest reads the params of repair.accept_loss.
func DecodeAcceptLossRequest(params []byte, into *AcceptLossRequest) error {
	*into = AcceptLossRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldInstance:
			into.Instance = kv.Instance(q.uint64())
		case fieldWithout:
			into.Without = q.texts()
		default:
			q.common(f, &into.Common)
		}
	}
	q.require(fieldInstance)
	return q.finish()
}
