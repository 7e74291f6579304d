// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// HelloRequest opens a client's connection. It is optional where authentication is off.
type HelloRequest struct {
	Common
	Client   string   // the client library's name
	Version  string   // its version
	Proto    []uint32 // versions of the protocol that the client speaks
	Features []string // that the client knows
	// Auth is the encoded map by which the client says who it is, with its mechanism
	// under "mech"; nil where it does not. It aliases the params.
	Auth []byte
}

// AppendHelloRequest appends the params of hello.
func AppendHelloRequest(dst []byte, q *HelloRequest) []byte {
	w := beginParams(dst)
	w.strIfSet(fieldClient, q.Client)
	w.strIfSet(fieldVersion, q.Version)
	if len(q.Proto) > 0 {
		w.array(fieldProto, len(q.Proto))
		for _, v := range q.Proto {
			w.dst = appendUint(w.dst, uint64(v))
		}
	}
	if len(q.Features) > 0 {
		w.strs(fieldFeatures, q.Features)
	}
	if len(q.Auth) > 0 {
		w.key(fieldAuth)
		w.dst = append(w.dst, q.Auth...)
	}
	w.common(q.Common)
	return w.end()
}

// DecodeHelloRequest reads the params of hello. A client that names no version of the
// protocol speaks ProtoVersion.
func DecodeHelloRequest(params []byte, into *HelloRequest) error {
	*into = HelloRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldClient:
			into.Client = q.text(MaxName)
		case fieldVersion:
			into.Version = q.text(MaxName)
		case fieldProto:
			into.Proto = elements(&q.reader, q.list(1), (*reader).uint32)
		case fieldFeatures:
			into.Features = q.texts()
		case fieldAuth:
			if into.Auth = q.raw(); !isMap(into.Auth) {
				q.fail(invalid(q.field, "must be a map"))
			}
		default:
			q.common(f, &into.Common)
		}
	}
	if len(into.Proto) == 0 {
		into.Proto = []uint32{ProtoVersion}
	}
	return q.finish()
}

func isMap(b []byte) bool {
	return len(b) > 0 && (b[0]&0xf0 == 0x80 || b[0] == 0xde || b[0] == 0xdf)
}

// Limits are what hello tells a client about the node's limits: bytes, but for Depth,
// List and InFlight.
type Limits struct {
	Message, Value, Key, Bucket, Context uint32

	Depth    uint32 // of nested arrays and maps
	List     uint32 // elements of a list in a request
	InFlight uint32 // requests that a connection may have open
}

// DefaultLimits are the limits of this release.
func DefaultLimits() Limits {
	return Limits{
		Message: DefaultScanBytes, Value: kv.MaxValue, Key: kv.MaxKey, Bucket: MaxBucketName,
		Context: MaxToken, Depth: DefaultScanDepth, List: MaxList, InFlight: MaxInFlight,
	}
}

func (w *mapWriter) limits(l Limits) {
	m := beginMap(w.dst)
	m.uint(fieldMessage, uint64(l.Message))
	m.uint(fieldValue, uint64(l.Value))
	m.uint(fieldKey, uint64(l.Key))
	m.uint(fieldBucket, uint64(l.Bucket))
	m.uint(fieldContext, uint64(l.Context))
	m.uint(fieldDepth, uint64(l.Depth))
	m.uint(fieldList, uint64(l.List))
	m.uint(fieldInFlight, uint64(l.InFlight))
	w.dst = m.end()
}

func (r *reader) limits() (l Limits) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldMessage:
			l.Message = r.uint32()
		case fieldValue:
			l.Value = r.uint32()
		case fieldKey:
			l.Key = r.uint32()
		case fieldBucket:
			l.Bucket = r.uint32()
		case fieldContext:
			l.Context = r.uint32()
		case fieldDepth:
			l.Depth = r.uint32()
		case fieldList:
			l.List = r.uint32()
		case fieldInFlight:
			l.InFlight = r.uint32()
		default:
			r.skip()
		}
	}
	return l
}

// HelloResult answers hello.
type HelloResult struct {
	Proto       uint32 // the version that the connection will use
	Node        string // the name of the node
	Cluster     string // 32 hexadecimal digits
	Version     string // of the node
	Features    []string
	Limits      Limits
	RingVersion uint64
}

// AppendHelloResult appends the result of hello.
func AppendHelloResult(dst []byte, a *HelloResult) []byte {
	w := beginMap(dst)
	w.uint(fieldProto, uint64(a.Proto))
	w.str(fieldNode, a.Node)
	w.str(fieldCluster, a.Cluster)
	w.str(fieldVersion, a.Version)
	w.strs(fieldFeatures, a.Features)
	w.key(fieldLimits)
	w.limits(a.Limits)
	w.uint(fieldRingVersion, a.RingVersion)
	return w.end()
}

// DecodeHelloResult reads the result of hello.
func DecodeHelloResult(result []byte, into *HelloResult) error {
	*into = HelloResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldProto:
			into.Proto = r.uint32()
		case fieldNode:
			into.Node = r.text(MaxName)
		case fieldCluster:
			into.Cluster = r.text(MaxName)
		case fieldVersion:
			into.Version = r.text(MaxName)
		case fieldFeatures:
			into.Features = r.texts()
		case fieldLimits:
			into.Limits = r.limits()
		case fieldRingVersion:
			into.RingVersion = r.uint64()
		default:
			r.skip()
		}
	}
	return r.finish()
}
