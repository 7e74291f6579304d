// SPDX-License-Identifier: Apache-2.0

package wire

// PartitionContents is how many entries a node's own copy of a partition has.
type PartitionContents struct {
	Partition uint16
	// Known says that the node has counted them; the numbers mean nothing otherwise.
	Known bool
	// Keys have a value, or a version that can have one; Tombstones have nothing else any more;
	// Damaged are records that can not be read.
	Keys, Tombstones, Damaged uint64
}

// RingPartitionsResult answers ring.partitions: what the answering node holds of each
// partition that it owns.
type RingPartitionsResult struct {
	Node       string
	Partitions []PartitionContents
	// Reason is why the first that is not known is not.
	Reason string
}

// AppendRingPartitionsResult appends the result of ring.partitions.
func AppendRingPartitionsResult(dst []byte, a *RingPartitionsResult) []byte {
	w := beginMap(dst)
	w.str(fieldNode, a.Node)
	w.array(fieldPartitions, len(a.Partitions))
	for i := range a.Partitions {
		p := &a.Partitions[i]
		m := beginMap(w.dst)
		m.uint(fieldPartition, uint64(p.Partition))
		if p.Known {
			m.uint(fieldKeys, p.Keys)
			m.uint(fieldTombstones, p.Tombstones)
			m.uintIfSet(fieldDamaged, p.Damaged)
		}
		w.dst = m.end()
	}
	w.strIfSet(fieldReason, a.Reason)
	return w.end()
}

// minPartitionContents is the least that an encoded one takes: a map with its partition.
const minPartitionContents = 1 + (10 + 1)

// DecodeRingPartitionsResult reads the result of ring.partitions.
func DecodeRingPartitionsResult(result []byte, into *RingPartitionsResult) error {
	*into = RingPartitionsResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldNode:
			into.Node = r.text(MaxName)
		case fieldPartitions:
			into.Partitions = elements(&r, r.array(minPartitionContents),
				(*reader).partitionContents)
		case fieldReason:
			into.Reason = r.text(len(r.b))
		default:
			r.skip()
		}
	}
	return r.finish()
}

func (r *reader) partitionContents() (p PartitionContents) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldPartition:
			p.Partition = r.uint16()
		case fieldKeys:
			p.Keys, p.Known = r.uint64(), true
		case fieldTombstones:
			p.Tombstones = r.uint64()
		case fieldDamaged:
			p.Damaged = r.uint64()
		default:
			r.skip()
		}
	}
	return p
}
