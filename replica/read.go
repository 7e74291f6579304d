// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// Read returns this replica's copy of a key as of the last durable commit. It may read
// the disk, and waits for no commit.
func (r *Replica) Read(req *wire.ReadRequest) wire.ReadReply {
	var reply wire.ReadReply
	var why string
	if reply.Standing, why = r.check(&req.Target, 0); why != "" {
		reply.Code, reply.Detail = wire.ReplicaRefused, why
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
		r.unreadable.Add(1)
		r.log.Error("record unreadable", zap.Uint16("partition", req.Partition),
			zap.Binary("key", req.Key), zap.Error(cur.Err))
		reply.Code, reply.Detail = wire.ReplicaUnreadable, cur.Err.Error()
		return reply
	}
	reply.Code, reply.Object, reply.Raw = wire.ReplicaOK, cur.Object, cur.Encoded
	if mode == storage.ModeBare && cur.Full {
		reply.Object, reply.Raw = cur.Object.WithoutValues(), nil
	}
	return reply
}

// Scan returns a page of this replica's keys of one bucket and partition.
func (r *Replica) Scan(req *wire.ScanRequest) wire.ScanReply {
	var reply wire.ScanReply
	var why string
	if reply.Standing, why = r.check(&req.Target, 0); why != "" {
		reply.Code, reply.Detail = wire.ReplicaRefused, why
		return reply
	}
	mode := storage.ModeFull
	if req.Mode == wire.ReadBare {
		mode = storage.ModeBare
	}
	entries, more, err := r.store.Scan(req.Partition, req.Bucket, req.Prefix, req.Key,
		int(req.Limit), int(req.Bytes), mode)
	if err != nil {
		reply.Code, reply.Detail = codeOf(err)
		return reply
	}
	for _, e := range entries {
		if e.State == storage.StateUnreadable {
			// A page that left the key out would call it absent.
			r.unreadable.Add(1)
			reply.Code, reply.Detail = wire.ReplicaUnreadable, e.Err.Error()
			reply.Entries = nil
			return reply
		}
		object := e.Object
		if mode == storage.ModeBare {
			object = object.WithoutValues()
		}
		reply.Entries = append(reply.Entries, wire.ScanEntry{Key: e.Key, Object: object})
	}
	reply.Code, reply.More = wire.ReplicaOK, more
	return reply
}
