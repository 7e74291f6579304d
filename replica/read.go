// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// Read returns this replica's copy of a key as of the last durable commit; a node that is
// no member of the key's partition shows what its hints have of it, as a fallback. It may
// read the disk, and waits for no commit.
func (r *Replica) Read(req *wire.ReadRequest) wire.ReadReply {
	var reply wire.ReadReply
	var why refusal
	reply.Standing, _, why = r.admit(&req.Target)
	if reply.Role == kv.RoleNotOwner {
		return r.readHints(req)
	}
	if why.refused() {
		reply.Code, reply.Detail = why.code, why.detail
		if mutant.On(mutant.NotReadyIsNotFound) && reply.Role == kv.RoleNotReady {
			reply.Role, reply.Code = kv.RoleOwner, wire.ReplicaOK
		}
		return reply
	}
	mode := storage.ModeFull
	if req.Mode == wire.ReadBare {
		mode = storage.ModeBare
	}
	cur, err := r.store.Read(req.Partition, req.Bucket, req.Key, mode)
	if err != nil {
		reply.Code, reply.Detail = codeOf(err)
		return reply
	}
	if cur.State == storage.StateUnreadable {
		r.noteUnreadable(&req.Target, cur.Err)
		reply.Code, reply.Detail = wire.ReplicaUnreadable, cur.Err.Error()
		return reply
	}
	if now, why := r.check(&req.Target); why.refused() {
		// It left the partition meanwhile: what it holds may be old already (TRAPS T4).
		reply.Standing, reply.Code, reply.Detail = now, why.code, why.detail
		return reply
	}
	if err := r.cfg.Points.Hit(PointRead); err != nil {
		reply.Code, reply.Detail = codeOf(err)
		return reply
	}
	reply.Code, reply.Object, reply.Raw = wire.ReplicaOK, cur.Object, cur.Encoded
	if mode == storage.ModeBare {
		reply.Object, reply.Raw = bare(cur.Object), nil
	}
	return reply
}

// bare returns an object without values; one that has none is not copied.
func bare(o kv.Object) kv.Object {
	for _, v := range o.Versions {
		if v.Value != nil {
			return o.WithoutValues()
		}
	}
	return o
}

const (
	// maxScanKeys and maxScanBytes bound a page whatever a peer asks for.
	maxScanKeys  = 1024
	maxScanBytes = 4 << 20
)

// Scan returns a page of this replica's keys of one bucket and partition: at least one
// key where there is one.
func (r *Replica) Scan(req *wire.ScanRequest) wire.ScanReply {
	var reply wire.ScanReply
	var why refusal
	if reply.Standing, why = r.check(&req.Target); why.refused() {
		reply.Code, reply.Detail = why.code, why.detail
		return reply
	}
	mode := storage.ModeFull
	if req.Mode == wire.ReadBare {
		mode = storage.ModeBare
	}
	limit, size := max(1, min(req.Limit, maxScanKeys)), min(req.Bytes, maxScanBytes)
	entries, more, err := r.store.Scan(req.Partition, req.Bucket, req.Prefix, req.Key,
		int(limit), int(size), mode)
	if err != nil {
		reply.Code, reply.Detail = codeOf(err)
		return reply
	}
	reply.Entries = make([]wire.ScanEntry, 0, len(entries))
	for _, e := range entries {
		if e.State == storage.StateUnreadable {
			// A page that left the key out would call it absent.
			damaged := req.Target
			damaged.Key = e.Key
			r.noteUnreadable(&damaged, e.Err)
			reply.Code, reply.Detail = wire.ReplicaUnreadable, e.Err.Error()
			reply.Entries = nil
			return reply
		}
		entry := wire.ScanEntry{Key: e.Key, Object: e.Object, Raw: e.Encoded}
		if mode == storage.ModeBare {
			entry.Object, entry.Raw = bare(e.Object), nil
		}
		reply.Entries = append(reply.Entries, entry)
	}
	if now, why := r.check(&req.Target); why.refused() {
		return wire.ScanReply{Standing: now, Code: why.code, Detail: why.detail}
	}
	reply.Code, reply.More = wire.ReplicaOK, more
	return reply
}
