// SPDX-License-Identifier: Apache-2.0

package wire

import "github.com/dyno-kv/dyno/kv"

// AppendMetaProposeRequest appends the params of meta.propose.
func AppendMetaProposeRequest(dst []byte, q *MetaProposeRequest) []byte {
	return appendBins(appendUint(append(dst, 0x92), uint64(q.RemainingMS)), q.Commands)
}

// DecodeMetaProposeRequest reads the params of meta.propose. Slices alias b.
func DecodeMetaProposeRequest(b []byte, into *MetaProposeRequest) error {
	*into = MetaProposeRequest{}
	r := reader{b: b, field: "propose"}
	extra := r.tuple(2)
	into.RemainingMS = r.uint32()
	into.Commands = r.bins(MaxMetaCommands)
	r.extras(extra)
	return r.finish()
}

// AppendMetaProposeReply appends the result of meta.propose.
func AppendMetaProposeReply(dst []byte, a *MetaProposeReply) []byte {
	dst = appendOutcome(append(dst, 0x93), &a.MetaOutcome)
	return appendBins(appendUint(dst, a.Index), a.Results)
}

// DecodeMetaProposeReply reads the result of meta.propose. Slices alias b.
func DecodeMetaProposeReply(b []byte, into *MetaProposeReply) error {
	*into = MetaProposeReply{}
	r := reader{b: b, field: "propose"}
	extra := r.tuple(3)
	r.outcome(&into.MetaOutcome)
	into.Index = r.uint64()
	into.Results = r.bins(MaxMetaCommands)
	r.extras(extra)
	return r.finish()
}

// AppendMetaReadIndexRequest appends the params of meta.read_index.
func AppendMetaReadIndexRequest(dst []byte, q *MetaReadIndexRequest) []byte {
	return appendUint(append(dst, 0x91), uint64(q.RemainingMS))
}

// DecodeMetaReadIndexRequest reads the params of meta.read_index.
func DecodeMetaReadIndexRequest(b []byte, into *MetaReadIndexRequest) error {
	*into = MetaReadIndexRequest{}
	r := reader{b: b, field: "read_index"}
	extra := r.tuple(1)
	into.RemainingMS = r.uint32()
	r.extras(extra)
	return r.finish()
}

// AppendMetaReadIndexReply appends the result of meta.read_index.
func AppendMetaReadIndexReply(dst []byte, a *MetaReadIndexReply) []byte {
	return appendUint(appendOutcome(append(dst, 0x92), &a.MetaOutcome), a.Index)
}

// DecodeMetaReadIndexReply reads the result of meta.read_index.
func DecodeMetaReadIndexReply(b []byte, into *MetaReadIndexReply) error {
	*into = MetaReadIndexReply{}
	r := reader{b: b, field: "read_index"}
	extra := r.tuple(2)
	r.outcome(&into.MetaOutcome)
	into.Index = r.uint64()
	r.extras(extra)
	return r.finish()
}

// AppendMetaRenewRequest appends the params of meta.renew.
func AppendMetaRenewRequest(dst []byte, q *MetaRenewRequest) []byte {
	dst = appendUint(append(dst, 0x92), uint64(q.RemainingMS))
	dst = appendArray(dst, len(q.Sessions))
	for i := range q.Sessions {
		dst = appendBin(dst, q.Sessions[i][:])
	}
	return dst
}

// DecodeMetaRenewRequest reads the params of meta.renew.
func DecodeMetaRenewRequest(b []byte, into *MetaRenewRequest) error {
	*into = MetaRenewRequest{}
	r := reader{b: b, field: "renew"}
	extra := r.tuple(2)
	into.RemainingMS = r.uint32()
	n := r.atMost(MaxMetaRenewals, 17)
	into.Sessions = make([][16]byte, n)
	for i := 0; i < n && r.err == nil; i++ {
		r.session(&into.Sessions[i])
	}
	r.extras(extra)
	return r.finish()
}

// AppendMetaRenewReply appends the result of meta.renew.
func AppendMetaRenewReply(dst []byte, a *MetaRenewReply) []byte {
	dst = appendOutcome(append(dst, 0x93), &a.MetaOutcome)
	dst = appendArray(dst, len(a.Renewed))
	for _, renewed := range a.Renewed {
		dst = appendBool(dst, renewed)
	}
	return appendUint(dst, a.Index)
}

// DecodeMetaRenewReply reads the result of meta.renew.
func DecodeMetaRenewReply(b []byte, into *MetaRenewReply) error {
	*into = MetaRenewReply{}
	r := reader{b: b, field: "renew"}
	extra := r.tuple(3)
	r.outcome(&into.MetaOutcome)
	n := r.atMost(MaxMetaRenewals, 1)
	into.Renewed = make([]bool, 0, n)
	for ; n > 0 && r.err == nil; n-- {
		into.Renewed = append(into.Renewed, r.bool())
	}
	into.Index = r.uint64()
	r.extras(extra)
	return r.finish()
}

// AppendMetaTailRequest appends the params of meta.tail.
func AppendMetaTailRequest(dst []byte, q *MetaTailRequest) []byte {
	dst = appendUint(append(dst, 0x97), q.After)
	dst = appendUint(dst, uint64(q.Generation))
	dst = appendUint(dst, uint64(q.RemainingMS))
	dst = appendUint(dst, uint64(q.Bytes))
	dst = appendUint(dst, q.Snapshot)
	dst = appendUint(dst, q.Offset)
	return appendUint(dst, q.Term)
}

// DecodeMetaTailRequest reads the params of meta.tail.
func DecodeMetaTailRequest(b []byte, into *MetaTailRequest) error {
	*into = MetaTailRequest{}
	r := reader{b: b, field: "tail"}
	extra := r.tuple(6)
	into.After = r.uint64()
	into.Generation = r.generation()
	into.RemainingMS = r.uint32()
	into.Bytes = r.uint32()
	into.Snapshot = r.uint64()
	into.Offset = r.uint(MaxMetaSnapshot)
	if extra > 0 {
		into.Term = r.uint64()
		extra--
	}
	r.extras(extra)
	return r.finish()
}

// AppendMetaTailReply appends the result of meta.tail.
func AppendMetaTailReply(dst []byte, a *MetaTailReply) []byte {
	dst = appendOutcome(append(dst, 0x98), &a.MetaOutcome)
	dst = appendUint(dst, uint64(a.Generation))
	dst = appendUint(dst, a.Committed)
	dst = appendArray(dst, len(a.Entries))
	for i := range a.Entries {
		e := &a.Entries[i]
		dst = appendUint(append(dst, 0x93), e.Index)
		dst = appendUint(dst, e.Term)
		dst = appendBin(dst, e.Data)
	}
	dst = appendSnapshotPart(dst, &a.Part)
	dst = appendArray(dst, len(a.Voters))
	for _, id := range a.Voters {
		dst = appendUint(dst, id)
	}
	dst = appendUint(dst, a.Raft)
	dst = appendUint(append(dst, 0x92), a.Open.Seq)
	return appendUint(dst, a.Open.Nonce)
}

// minMetaEntry is the least that an encoded entry takes: its array and three fields.
const minMetaEntry = 4

// DecodeMetaTailReply reads the result of meta.tail. Slices alias b.
func DecodeMetaTailReply(b []byte, into *MetaTailReply) error {
	*into = MetaTailReply{}
	r := reader{b: b, field: "tail"}
	extra := r.tuple(6)
	r.outcome(&into.MetaOutcome)
	into.Generation = r.generation()
	into.Committed = r.uint64()
	n := r.atMost(MaxMetaEntries, minMetaEntry)
	into.Entries = make([]MetaEntry, 0, n)
	for ; n > 0 && r.err == nil; n-- {
		more := r.tuple(3)
		into.Entries = append(into.Entries, MetaEntry{
			Index: r.uint64(), Term: r.uint64(), Data: r.bytes(len(r.b)),
		})
		r.extras(more)
	}
	r.snapshotPart(&into.Part)
	n = r.atMost(MaxMetaVoters, 1)
	into.Voters = make([]uint64, 0, n)
	for ; n > 0 && r.err == nil; n-- {
		into.Voters = append(into.Voters, r.uint64())
	}
	if extra > 1 {
		into.Raft = r.uint64()
		more := r.tuple(2)
		into.Open = kv.Open{Seq: r.uint64(), Nonce: r.uint64()}
		r.extras(more)
		extra -= 2
	}
	r.extras(extra)
	return r.finish()
}

// AppendMetaViewRequest appends the params of meta.view.
func AppendMetaViewRequest(dst []byte, q *MetaViewRequest) []byte {
	return appendUint(append(dst, 0x91), q.Version)
}

// DecodeMetaViewRequest reads the params of meta.view.
func DecodeMetaViewRequest(b []byte, into *MetaViewRequest) error {
	*into = MetaViewRequest{}
	r := reader{b: b, field: "view"}
	extra := r.tuple(1)
	into.Version = r.uint64()
	r.extras(extra)
	return r.finish()
}

// AppendMetaViewReply appends the result of meta.view.
func AppendMetaViewReply(dst []byte, a *MetaViewReply) []byte {
	return appendBin(appendUint(append(dst, 0x92), a.Version), a.View)
}

// DecodeMetaViewReply reads the result of meta.view. View aliases b.
func DecodeMetaViewReply(b []byte, into *MetaViewReply) error {
	*into = MetaViewReply{}
	r := reader{b: b, field: "view"}
	extra := r.tuple(2)
	into.Version = r.uint64()
	into.View = r.bytes(len(r.b))
	r.extras(extra)
	return r.finish()
}
