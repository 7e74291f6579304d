// SPDX-License-Identifier: Apache-2.0

package wire

// HintsBacklog is what a node keeps for one member.
type HintsBacklog struct {
	Peer    string // the member's name
	Hints   uint64
	Markers uint64
	Damaged uint64 // hints that can not be read
	Bytes   uint64
	// OldestMS is the age of the oldest version in a hint, in milliseconds; 0: there is none,
	// for markers have no age.
	OldestMS uint64
}

// HintsNode is what a node keeps for others.
type HintsNode struct {
	Node   string
	Reason string // why nothing more is known of it; empty where it has answered
	// Counted: the numbers hold what was there when the node started, too.
	Counted bool
	Bytes   uint64
	Limit   uint64
	// Since the node started: hints and markers that were delivered, and bytes sent for
	// them; hints that there was no room for; markers that were left to anti-entropy.
	Delivered, Sent, Refused, Unkept uint64
	Backlog                          []HintsBacklog
}

// HintsStatusResult answers hints.status: what all nodes keep for others.
type HintsStatusResult struct {
	Node  string // that answers
	Nodes []HintsNode
}

// HintsWaitRequest asks whether all hints, markers and open sends that are older than a
// moment are done with, on all nodes, and waits for that as long as the request may.
type HintsWaitRequest struct {
	Common
	// Point is of the answer before; empty: the moment is now.
	Point []byte
}

// HintsWaitResult answers a HintsWaitRequest.
type HintsWaitResult struct {
	Done bool
	// Point is what the next request is to name, where it is not done. It aliases the result
	// where decoded.
	Point []byte
	// What is left, on the nodes that answer: hints and markers, younger ones included, and
	// hints among them that can not be read.
	Hints, Markers, Bytes, Damaged uint64
	// Sends says that sends are waited for, which may leave more hints.
	Sends   bool
	Missing []string // the names of nodes that do not answer
	// Stuck names the nodes that keep hints which can not be read, where nothing else is left:
	// the wait can not end.
	Stuck []HintsStuck
}

// HintsStuck is how many hints a node can not deliver.
type HintsStuck struct {
	Node    string
	Damaged uint64
}

// AppendHintsStatusResult appends the result of hints.status.
func AppendHintsStatusResult(dst []byte, a *HintsStatusResult) []byte {
	w := beginMap(dst)
	w.str(fieldNode, a.Node)
	w.array(fieldNodes, len(a.Nodes))
	for i := range a.Nodes {
		n := &a.Nodes[i]
		m := beginMap(w.dst)
		m.str(fieldNode, n.Node)
		m.strIfSet(fieldReason, n.Reason)
		m.bool(fieldCounted, n.Counted)
		m.uint(fieldBytes, n.Bytes)
		m.uint(fieldLimit, n.Limit)
		m.uint(fieldDelivered, n.Delivered)
		m.uint(fieldSent, n.Sent)
		m.uint(fieldRefused, n.Refused)
		m.uint(fieldUnkept, n.Unkept)
		m.array(fieldBacklog, len(n.Backlog))
		for j := range n.Backlog {
			m.dst = appendHintsBacklog(m.dst, &n.Backlog[j])
		}
		w.dst = m.end()
	}
	return w.end()
}

func appendHintsBacklog(dst []byte, b *HintsBacklog) []byte {
	w := beginMap(dst)
	w.str(fieldPeer, b.Peer)
	w.uint(fieldHints, b.Hints)
	w.uint(fieldMarkers, b.Markers)
	w.uintIfSet(fieldDamaged, b.Damaged)
	w.uint(fieldBytes, b.Bytes)
	w.uintIfSet(fieldOldestMS, b.OldestMS)
	return w.end()
}

const (
	minHintsNode    = 1 + 5 + 1 // a map with its node's name
	minHintsBacklog = 1 + 5 + 1
)

// DecodeHintsStatusResult reads the result of hints.status.
func DecodeHintsStatusResult(result []byte, into *HintsStatusResult) error {
	*into = HintsStatusResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldNode:
			into.Node = r.text(MaxName)
		case fieldNodes:
			into.Nodes = elements(&r, r.array(minHintsNode), (*reader).hintsNode)
		default:
			r.skip()
		}
	}
	return r.finish()
}

func (r *reader) hintsNode() (n HintsNode) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldNode:
			n.Node = r.text(MaxName)
		case fieldReason:
			n.Reason = r.text(len(r.b))
		case fieldCounted:
			n.Counted = r.bool()
		case fieldBytes:
			n.Bytes = r.uint64()
		case fieldLimit:
			n.Limit = r.uint64()
		case fieldDelivered:
			n.Delivered = r.uint64()
		case fieldSent:
			n.Sent = r.uint64()
		case fieldRefused:
			n.Refused = r.uint64()
		case fieldUnkept:
			n.Unkept = r.uint64()
		case fieldBacklog:
			n.Backlog = elements(r, r.array(minHintsBacklog), (*reader).hintsBacklog)
		default:
			r.skip()
		}
	}
	return n
}

func (r *reader) hintsBacklog() (b HintsBacklog) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldPeer:
			b.Peer = r.text(MaxName)
		case fieldHints:
			b.Hints = r.uint64()
		case fieldMarkers:
			b.Markers = r.uint64()
		case fieldDamaged:
			b.Damaged = r.uint64()
		case fieldBytes:
			b.Bytes = r.uint64()
		case fieldOldestMS:
			b.OldestMS = r.uint64()
		default:
			r.skip()
		}
	}
	return b
}

// AppendHintsWaitRequest appends the params of hints.wait.
func AppendHintsWaitRequest(dst []byte, q *HintsWaitRequest) []byte {
	w := beginParams(dst)
	w.binIfSet(fieldPoint, q.Point)
	w.common(q.Common)
	return w.end()
}

// DecodeHintsWaitRequest reads the params of hints.wait; Point aliases them.
func DecodeHintsWaitRequest(params []byte, into *HintsWaitRequest) error {
	*into = HintsWaitRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldPoint:
			into.Point = q.bytes(MaxHintsPoint)
		default:
			q.common(f, &into.Common)
		}
	}
	return q.finish()
}

// AppendHintsWaitResult appends the result of hints.wait.
func AppendHintsWaitResult(dst []byte, a *HintsWaitResult) []byte {
	w := beginMap(dst)
	w.bool(fieldDone, a.Done)
	w.binIfSet(fieldPoint, a.Point)
	w.uint(fieldHints, a.Hints)
	w.uint(fieldMarkers, a.Markers)
	w.uint(fieldBytes, a.Bytes)
	w.uintIfSet(fieldDamaged, a.Damaged)
	w.boolIfSet(fieldSends, a.Sends)
	if len(a.Missing) > 0 {
		w.strs(fieldMissing, a.Missing)
	}
	if len(a.Stuck) > 0 {
		w.array(fieldNodes, len(a.Stuck))
		for _, s := range a.Stuck {
			m := beginMap(w.dst)
			m.str(fieldNode, s.Node)
			m.uint(fieldDamaged, s.Damaged)
			w.dst = m.end()
		}
	}
	return w.end()
}

func (r *reader) hintsStuck() (s HintsStuck) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldNode:
			s.Node = r.text(MaxName)
		case fieldDamaged:
			s.Damaged = r.uint64()
		default:
			r.skip()
		}
	}
	return s
}

// DecodeHintsWaitResult reads the result of hints.wait.
func DecodeHintsWaitResult(result []byte, into *HintsWaitResult) error {
	*into = HintsWaitResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldDone:
			into.Done = r.bool()
		case fieldPoint:
			into.Point = r.bytes(MaxHintsPoint)
		case fieldHints:
			into.Hints = r.uint64()
		case fieldMarkers:
			into.Markers = r.uint64()
		case fieldBytes:
			into.Bytes = r.uint64()
		case fieldDamaged:
			into.Damaged = r.uint64()
		case fieldSends:
			into.Sends = r.bool()
		case fieldMissing:
			into.Missing = r.texts()
		case fieldNodes:
			into.Stuck = elements(&r, r.array(minHintsNode), (*reader).hintsStuck)
		default:
			r.skip()
		}
	}
	return r.finish()
}
