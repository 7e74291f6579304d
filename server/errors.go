// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/wire"
)

// tryAgain is the delay that OVERLOADED gives. Requests take a few milliseconds: most of
// those that stood in the way are gone by then.
const tryAgain = "try again in 50 ms"

// errorText is the one table from errors to the client protocol.
func (s *Server) errorText(req *request, err error) string {
	var told *coordinator.Error
	var malformed *wire.DecodeError
	switch {
	case errors.As(err, &told):
		if told.Code == wire.CodeInternal {
			s.logFault(req, err)
		}
		return told.Error()
	// Errors of the group come before those that they may wrap: of another member's answer
	// that can not be read, and ErrUnknown before ErrNoLeader.
	case errors.Is(err, meta.ErrUnknown):
		return wire.FormatError(wire.CodeTimeout, said(err)+"; ask again, in the same words")
	case errors.Is(err, meta.ErrNoLeader):
		return wire.FormatError(wire.CodeNoLeader, said(err))
	case errors.Is(err, meta.ErrOverloaded):
		return wire.FormatError(wire.CodeOverloaded,
			"as many calls to the metadata group wait here as may; "+tryAgain)
	case errors.Is(err, meta.ErrSessionExpired):
		return wire.FormatError(wire.CodeSessionExpired, "there is no such session; open another")
	case errors.As(err, &malformed):
		return wire.FormatError(malformed.Code, malformed.Text())
	case errors.Is(err, wire.ErrCursor):
		return wire.FormatError(wire.CodeInvalid, err.Error()+"; start again")
	case errors.Is(err, errGateFull):
		return wire.FormatError(wire.CodeOverloaded, fmt.Sprintf(
			"as many requests are under way as this node works on at a time; %s", tryAgain))
	case errors.Is(err, errNoPlace):
		return wire.FormatError(wire.CodeOverloaded, "as many calls of this connection wait "+
			"outside of its window as may; "+tryAgain+", or open another connection")
	case errors.Is(err, errGateClosed):
		return wire.FormatError(wire.CodeShuttingDown, "this node is draining")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return wire.FormatError(wire.CodeTimeout, "the deadline passed")
	default:
		s.logFault(req, err)
		return wire.FormatError(wire.CodeInternal, err.Error())
	}
}

// said is what package meta says, for people.
func said(err error) string { return strings.TrimPrefix(err.Error(), "meta: ") }

// logFault tells the operator of a fault of our own.
func (s *Server) logFault(req *request, err error) {
	s.log.Error("request failed", zap.String("method", req.method),
		zap.String("trace", req.trace), zap.Error(err))
}

func unknownMethod(name []byte) string {
	const shown = 64 // longer than any method's name
	return wire.FormatError(wire.CodeUnknownMethod, fmt.Sprintf(
		"%q; hello lists what this node can do beyond its release", name[:min(len(name), shown)]))
}
