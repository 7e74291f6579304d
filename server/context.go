// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// seal makes contexts of one key opaque for clients, and opens them (I5). Those of an lww
// bucket carry the highest stamp of what they cover.
type seal struct {
	bucket  kv.Bucket
	binding vclock.Binding
}

// sealOf ties contexts to a key of this cluster.
func (s *Server) sealOf(bucket kv.Bucket, key []byte) (seal, *ring.Ring, error) {
	current := s.parts.Cluster.Ring()
	if current == nil {
		return seal{}, nil, &coordinator.Error{
			Code: wire.CodeNotReady, Text: "the cluster has not been formed yet",
		}
	}
	return seal{bucket, vclock.Bind(current.Cluster(), uint32(bucket.ID), key)}, current, nil
}

// open reads a context that a client sends. The decoder has bounded its size.
func (b seal) open(token []byte) (c vclock.Context, stamp kv.Stamp, err error) {
	if b.bucket.LWW {
		var highest uint64
		c, highest, err = vclock.OpenStampedToken(token, b.binding)
		stamp = kv.Stamp(highest)
	} else {
		c, err = vclock.OpenToken(token, b.binding)
	}
	if err != nil {
		return vclock.Context{}, 0, &coordinator.Error{
			Code: wire.CodeInvalid, Text: "context: " + err.Error() + "; read the key again", Err: err,
		}
	}
	return c, stamp, nil
}

// of is a context as a client gets it.
func (b seal) of(c vclock.Context, stamp kv.Stamp) []byte {
	dst := make([]byte, 0, b.size(c))
	if b.bucket.LWW {
		return vclock.AppendStampedToken(dst, b.binding, c, uint64(stamp))
	}
	return vclock.AppendToken(dst, b.binding, c)
}

// size is how many bytes that takes.
func (b seal) size(c vclock.Context) int {
	if b.bucket.LWW {
		return vclock.StampedTokenSize(c)
	}
	return vclock.TokenSize(c)
}
