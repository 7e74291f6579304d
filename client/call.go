// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

// call is one request on its way through attempts.
type call struct {
	// What is asked; set before do.

	method string
	op     wire.Op
	// again says that a write may be sent once more after an unknown outcome: it has a
	// request id.
	again bool
	// bucket and key route the request; no key: any node will do.
	bucket   string
	key      []byte
	endpoint string // the only node to ask; empty: any
	// value and context are lengths that the node limits.
	value, context int
	// feature must be in the node's hello; empty: none is needed.
	feature string
	// name is what the request is about beside keys: a lock, a session, a bucket.
	name string
	// group says that the metadata group carries the request out: any node takes it, to
	// the same effect however often it comes, and an election lasts longer than a few
	// attempts do.
	group bool
	// parks says that the node may let the request wait, outside of its window.
	parks bool
	// try bounds one attempt; 0: Config.TryTimeout does.
	try time.Duration
	// most is how many attempts are made; 0: as configured.
	most     int
	deadline time.Time
	// encode appends the params, with timeoutMS in them.
	encode func(dst []byte) []byte

	// What has happened; owned by do.

	timeoutMS uint32
	// sent is when the last attempt was given to its connection.
	sent     time.Time
	ctx      tryContext
	attempts int
	pauses   int
	// tried are the nodes of this round.
	tried []*node
	last  *node
	// sticks says that the next attempt goes to last.
	sticks bool
	// repeated says that last was tried again already after an unknown outcome.
	repeated bool
	worst    fault
	// unknownAt is the node of the first attempt of unknown outcome.
	unknownAt *node
	unknown   bool
	// strayed says that a later attempt of unknown outcome was at another node.
	strayed bool
	// decided says that the last answer tells what became of all attempts.
	decided bool
}

// tryContext is a caller's context with the deadline of one attempt. The end of it is
// kept by the connection, so that no timer is needed for each attempt.
type tryContext struct {
	context.Context
	at time.Time
}

func (t *tryContext) Deadline() (time.Time, bool) { return t.at, true }

// stay makes the next request of this call go to the node that answered.
func (q *call) stay() { q.sticks = q.last != nil }

// dataCall is a call with room for the requests of the hot path, so that a get or a put
// costs no allocation for itself. The pool of the client holds them.
type dataCall struct {
	call
	client *Client

	get wire.GetRequest
	put wire.PutRequest
	del wire.DeleteRequest

	// Methods bound once.
	getParams, putParams, deleteParams func(dst []byte) []byte
}

func (c *Client) takeCall() *dataCall {
	q, ok := c.calls.Get().(*dataCall)
	if !ok {
		q = &dataCall{client: c}
		q.getParams, q.putParams, q.deleteParams = q.appendGet, q.appendPut, q.appendDelete
	}
	return q
}

// release gives the call back. Nothing of it may be used any more.
func (q *dataCall) release() {
	clear(q.tried)
	q.call = call{tried: q.tried[:0]}
	q.get, q.put, q.del = wire.GetRequest{}, wire.PutRequest{}, wire.DeleteRequest{}
	q.client.calls.Put(q)
}

func (q *dataCall) appendGet(dst []byte) []byte {
	q.get.TimeoutMS = q.timeoutMS
	return wire.AppendGetRequest(dst, &q.get)
}

func (q *dataCall) appendPut(dst []byte) []byte {
	q.put.TimeoutMS = q.timeoutMS
	return wire.AppendPutRequest(dst, &q.put)
}

func (q *dataCall) appendDelete(dst []byte) []byte {
	q.del.TimeoutMS = q.timeoutMS
	return wire.AppendDeleteRequest(dst, &q.del)
}

var (
	errEndlessPages = errors.New("pages without end or without siblings")
	errWrongCount   = errors.New("not one result for each key")
)

// badAnswer is for an answer that came and can not be understood. A write was carried
// out, or was not: nobody knows.
func (q *call) badAnswer(cause error) *Error {
	e := &Error{
		Op: q.method, Bucket: q.bucket, Key: clone(q.key), Name: q.name, Code: CodeBadAnswer,
		Text: cause.Error(), Outcome: OutcomeNone, Attempts: q.attempts, Err: cause,
	}
	if q.op == wire.OpWrite {
		e.Outcome = OutcomeUnknown
	}
	if q.last != nil {
		e.Node = q.last.name()
	}
	return e
}

// clone copies the caller's bytes into something that outlives the call.
func clone(b []byte) []byte { return bytes.Clone(b) }

func codeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
