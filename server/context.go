// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// binding ties contexts to a key of this cluster (I5).
func (s *Server) binding(bucket kv.Bucket, key []byte) (vclock.Binding, *ring.Ring, error) {
	current := s.parts.Cluster.Ring()
	if current == nil {
		return 0, nil, &coordinator.Error{
			Code: wire.CodeNotReady, Text: "the cluster has not been formed yet",
		}
	}
	return vclock.Bind(current.Cluster(), uint32(bucket.ID), key), current, nil
}

// openContext reads a context that a client sends. The decoder has bounded its size.
func openContext(token []byte, b vclock.Binding) (vclock.Context, error) {
	c, err := vclock.OpenToken(token, b)
	if err != nil {
		return vclock.Context{}, &coordinator.Error{
			Code: wire.CodeInvalid, Text: "context: " + err.Error() + "; read the key again", Err: err,
		}
	}
	return c, nil
}

// sealContext makes a context opaque for a client.
func sealContext(c vclock.Context, b vclock.Binding) []byte {
	return vclock.AppendToken(make([]byte, 0, vclock.TokenSize(c)), b, c)
}
