// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

func TestPeerMessagesComeBack(t *testing.T) {
	t.Parallel()
	t.Run("hello", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) PeerHello {
			h := PeerHello{
				Min: 1, Max: rapid.Uint32Range(1, 9).Draw(t, "max"),
				Node:     kv.NodeID(rapid.Uint16().Draw(t, "node")),
				Instance: kv.Instance(rapid.Uint64().Draw(t, "instance")),
				OpenSeq:  rapid.Uint64().Draw(t, "seq"), Nonce: rapid.Uint64().Draw(t, "nonce"),
				Features: []string{drawText(t, "feature")},
			}
			copy(h.Cluster[:], drawBytes(t, "cluster", 16, 16))
			return h
		}, AppendPeerHello, DecodePeerHello)
	})
	t.Run("store", func(t *testing.T) {
		comesBack(t, drawStoreRequest, AppendStoreRequest, DecodeStoreRequest)
	})
	t.Run("store reply", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) StoreReply {
			return StoreReply{
				Standing: drawStanding(t), Code: drawReplicaCode(t), Detail: drawText(t, "detail"),
			}
		}, AppendStoreReply, DecodeStoreReply)
	})
	t.Run("read", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) ReadRequest {
			return ReadRequest{Target: drawTarget(t, 1), Mode: drawMode(t)}
		}, AppendReadRequest, DecodeReadRequest)
	})
	t.Run("read reply", func(t *testing.T) {
		comesBack(t, drawReadReply, AppendReadReply, DecodeReadReply)
	})
	t.Run("scan", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) ScanRequest {
			return ScanRequest{
				Target: drawTarget(t, 0), Prefix: drawBytes(t, "prefix", 0, 9),
				Limit: rapid.Uint32Range(0, MaxList).Draw(t, "limit"),
				Bytes: rapid.Uint32().Draw(t, "bytes"), Mode: drawMode(t),
			}
		}, AppendScanRequest, DecodeScanRequest)
	})
	t.Run("scan reply", func(t *testing.T) {
		entry := rapid.Custom(func(t *rapid.T) ScanEntry {
			o := drawObject(t)
			return ScanEntry{Key: drawKey(t), Object: o, Raw: AppendObject(nil, &o)}
		})
		comesBack(t, func(t *rapid.T) ScanReply {
			return ScanReply{
				Standing: drawStanding(t), Code: drawReplicaCode(t), Detail: drawText(t, "detail"),
				Entries: rapid.SliceOfN(entry, 0, 5).Draw(t, "entries"), More: drawFlag(t, "more"),
			}
		}, AppendScanReply, DecodeScanReply)
	})
	t.Run("forward", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) ForwardRequest {
			return ForwardRequest{
				Method:      rapid.SampledFrom([]string{MethodPut, MethodDelete}).Draw(t, "method"),
				RemainingMS: rapid.Uint32().Draw(t, "remaining"),
				Params:      drawBytes(t, "params", 0, 40),
			}
		}, AppendForwardRequest, DecodeForwardRequest)
	})
	t.Run("forward reply", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) ForwardReply {
			return ForwardReply{Error: drawText(t, "error"), Result: drawBytes(t, "result", 0, 40)}
		}, AppendForwardReply, DecodeForwardReply)
	})
}

func drawStoreRequest(t *rapid.T) StoreRequest {
	o := drawObject(t)
	return StoreRequest{
		Target: drawTarget(t, 1), Role: drawRole(t),
		Class: rapid.SampledFrom(
			[]kv.Class{kv.ClassClientWrite, kv.ClassReplicated}).Draw(t, "class"),
		Epoch:   kv.PurgeEpoch(rapid.Uint64().Draw(t, "epoch")),
		Request: drawRequestID(t), Object: o, Raw: AppendObject(nil, &o),
	}
}

func drawReadReply(t *rapid.T) ReadReply {
	o := drawObject(t)
	if drawFlag(t, "bare") {
		o = o.WithoutValues()
	}
	return ReadReply{
		Standing: drawStanding(t), Code: drawReplicaCode(t), Detail: drawText(t, "detail"),
		Object: o, Raw: AppendObject(nil, &o),
	}
}

// A later release appends fields to messages and to the arrays inside them; this one
// must read what it knows of them.
func TestFieldsOfLaterReleasesAreSkipped(t *testing.T) {
	t.Parallel()
	longer := func(b []byte) []byte { // of at most 13 fields
		out := append([]byte{b[0] + 2}, b[1:]...)
		return append(out, 0x92, 0xa1, 'x', 0xc0, 0x07)
	}
	o := goldenObject()
	raw := longer(AppendObject(nil, &o))
	q := StoreRequest{
		Target: goldenTarget(), Role: kv.RoleOwner, Class: kv.ClassClientWrite,
		Object: o, Raw: raw,
	}
	var got StoreRequest
	if err := DecodeStoreRequest(longer(AppendStoreRequest(nil, &q)), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(q, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}

	var hello PeerHello
	if err := DecodePeerHello(longer(AppendPeerHello(nil, &PeerHello{Max: 1})), &hello); err != nil {
		t.Error(err)
	}
	if err := DecodePeerPing(longer(AppendPeerPing(nil))); err != nil {
		t.Error(err)
	}
	reply := longer(AppendStoreReply(nil, &StoreReply{
		Standing: Standing{Role: kv.RoleOwner}, Code: ReplicaNotComparable + 1,
	}))
	var gotReply StoreReply
	if err := DecodeStoreReply(reply, &gotReply); err != nil {
		t.Error(err)
	}
	if gotReply.Code != ReplicaFailed {
		t.Errorf("an unknown code is read as %d, want the one that promises nothing", gotReply.Code)
	}
}

func TestPeerMessagesThatSayNonsenseAreRefused(t *testing.T) {
	t.Parallel()
	o := goldenObject()
	store := func(change func(*StoreRequest)) []byte {
		q := StoreRequest{
			Target: goldenTarget(), Role: kv.RoleOwner, Class: kv.ClassReplicated, Object: o,
		}
		change(&q)
		return AppendStoreRequest(nil, &q)
	}
	cases := []struct {
		name string
		b    []byte
	}{
		{"no role", store(func(q *StoreRequest) { q.Role = 0 })},
		{"unknown role", store(func(q *StoreRequest) { q.Role = kv.RoleNotOwner + 1 })},
		{"no class", store(func(q *StoreRequest) { q.Class = 0 })},
		{"unknown class", store(func(q *StoreRequest) { q.Class = kv.ClassReplicated + 1 })},
		{"empty key", store(func(q *StoreRequest) { q.Key = nil })},
		{"key too long", store(func(q *StoreRequest) { q.Key = make([]byte, kv.MaxKey+1) })},
		{"no values", store(func(q *StoreRequest) { q.Object = o.WithoutValues() })},
		{"object is nil", store(func(q *StoreRequest) { q.Raw = []byte{0xc0} })},
		{"fewer fields", append([]byte{0x95}, store(func(*StoreRequest) {})[1:]...)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var q StoreRequest
			err := DecodeStoreRequest(c.b, &q)
			var refused *DecodeError
			if !errors.As(err, &refused) {
				t.Errorf("accepted, or another error: %v", err)
			}
		})
	}

	var hello PeerHello
	if DecodePeerHello(AppendPeerHello(nil, &PeerHello{Min: 2, Max: 1}), &hello) == nil {
		t.Error("a hello with no version at all is accepted")
	}
	var forward ForwardRequest
	b := AppendForwardRequest(nil, &ForwardRequest{Method: MethodGet})
	if DecodeForwardRequest(b, &forward) == nil {
		t.Error("a get is forwarded")
	}
}
