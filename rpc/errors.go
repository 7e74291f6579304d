// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Every call that gets no answer fails with an error that wraps one of these two:
// they are all that a coordinator needs to tell `none` from `unknown`.
var (
	// ErrNotSent: not one byte of the call was handed to the socket. The other side
	// has not seen it and never will.
	ErrNotSent = errors.New("rpc: call was not sent")
	// ErrUnanswered: the call may have been sent, and may yet be carried out.
	ErrUnanswered = errors.New("rpc: call was sent, or may have been, and has no answer")
)

// Causes, wrapped beside the above.
var (
	// ErrClosed: this side closed the connection.
	ErrClosed = errors.New("rpc: connection is closed")
	// ErrHungUp: the other side closed the connection.
	ErrHungUp = errors.New("rpc: the other side closed the connection")
	// ErrBusy: a bound of the connection (calls in flight, bytes unsent) is reached.
	ErrBusy = errors.New("rpc: too much is under way on this connection, try again later")
	// ErrDown: there is no connection to the peer now; it is being dialed again.
	ErrDown = errors.New("rpc: no connection to the peer")
	// ErrTooLong: a message is longer than the connection carries.
	ErrTooLong = errors.New("rpc: message is longer than the limit")
	// ErrSlowConsumer: the other side does not read what it is sent.
	ErrSlowConsumer = errors.New("rpc: the other side accepts no bytes")
	// ErrSilent: the other side missed two pings.
	ErrSilent = errors.New("rpc: the other side does not answer pings")
	// ErrProtocol: the other side sent what this protocol does not allow.
	ErrProtocol = errors.New("rpc: protocol violation")
	// ErrIncompatible: the two sides have no protocol version in common.
	ErrIncompatible = errors.New("rpc: no protocol version in common")
)

var errDeadline = unanswered(context.DeadlineExceeded)

func notSent(cause error) error    { return fmt.Errorf("%w: %w", ErrNotSent, cause) }
func unanswered(cause error) error { return fmt.Errorf("%w: %w", ErrUnanswered, cause) }

// RemoteError is an error that the other side answered with.
type RemoteError struct {
	// Text is what came, `CODE: human text`.
	Text string
}

func (e *RemoteError) Error() string { return e.Text }

// Code is the part before the first colon, by which programs tell errors apart.
func (e *RemoteError) Code() string {
	code, _, _ := strings.Cut(e.Text, ":")
	return code
}
