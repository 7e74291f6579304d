// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// newWideRing has five members and three replicas: each member is an owner of some
// partitions and a fallback of the others.
func newWideRing(t testing.TB) *ring.Ring {
	t.Helper()
	members := newRing(t, 5).State().Members
	state, err := ring.Form(ring.ClusterID{1}, 3, 8, members, 5)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ring.New(state)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// errand is a write that was forwarded, and what became of it.
type errand struct {
	req  *PutRequest
	done PutResult
}

// write does what a server does with a client's write: it coordinates, forwards or stands
// in for the owners. stoodIn says that it did.
func (h *host) write(ctx context.Context, req *PutRequest) (done PutResult, stoodIn bool, err error) {
	route, err := h.coord.Route(req)
	if err != nil {
		return PutResult{}, false, err
	}
	if route.Here {
		done, err = h.coord.Put(ctx, req)
		return done, false, err
	}
	params, load := h.send(req)
	reply, err := h.coord.Forward(ctx, route, &wire.ForwardRequest{
		Method: wire.MethodPut, Params: params,
	})
	switch {
	case route.StandIn && errors.Is(err, ErrNoOwner):
		standIn := *req
		standIn.StandIn = true
		done, err = h.coord.Put(ctx, &standIn)
		return done, true, err
	case err != nil:
		return PutResult{}, false, err
	case reply.Error != "":
		code, text := wire.ParseError(reply.Error)
		return PutResult{}, false, &Error{Code: code, Text: text}
	}
	return load.done, false, nil
}

// send lets others find a write by what is sent of it.
func (h *host) send(req *PutRequest) ([]byte, *errand) {
	h.mu.Lock()
	defer h.mu.Unlock()
	load, number := &errand{req: req}, uint64(len(h.loads)+1)
	h.loads[number] = load
	return binary.BigEndian.AppendUint64(nil, number), load
}

// coordinate is what an owner does with a write that it is forwarded.
func (h *host) coordinate(r *wire.ForwardRequest, answer func(wire.ForwardReply)) {
	h.mu.Lock()
	load := h.loads[binary.BigEndian.Uint64(r.Params)]
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(),
		time.Duration(r.RemainingMS)*time.Millisecond)
	go func() { // ends with the put, by its deadline
		defer cancel()
		route, err := h.coord.Route(load.req)
		if err == nil && !route.Here {
			err = misrouted("this node does not own the key, or is not ready")
		}
		var done PutResult
		if err == nil {
			done, err = h.coord.Put(ctx, load.req)
		}
		var e *Error
		if errors.As(err, &e) {
			answer(wire.ForwardReply{Error: wire.FormatError(e.Code, e.Text)})
			return
		}
		load.done = done
		answer(wire.ForwardReply{})
	}()
}

// deliver brings the hints of a host to the members of their slots, each of which must
// have stored them durably before the hint goes. It returns how many are gone.
func (h *host) deliver() (gone int) {
	life := h.present()
	if life == nil {
		return 0
	}
	for _, cell := range life.HintStatus().Cells {
		page, _, _, err := life.Hints(cell.HintCell, storage.Position{}, 100, 1<<20)
		if err != nil {
			return gone // it is closing
		}
		for i := range page {
			if h.deliverOne(life, &page[i]) {
				gone++
			}
		}
	}
	return gone
}

func (h *host) deliverOne(life *replica.Replica, hint *replica.Hint) bool {
	object, encoded, nothing, err := life.Payload(hint)
	if err != nil {
		return false
	}
	placement := h.ring.Placement(hint.Partition)
	if owner := placement.Slots[hint.Slot].Owner; !nothing {
		req := &wire.StoreRequest{
			Target: wire.Target{
				Bucket: hint.Bucket, Partition: hint.Partition, Key: hint.Key, Slot: hint.Slot,
				Placement: placement.Version, Instance: instanceOf(owner), RemainingMS: 1000,
			},
			Role: kv.RoleOwner, Class: kv.ClassReplicated, Epoch: hint.Epoch, Object: object, Raw: encoded,
		}
		stored := make(chan bool, 1)
		links{h}.Store(owner, req, time.Now().Add(time.Second), func(r wire.StoreReply, err error) {
			stored <- err == nil && r.Code == wire.ReplicaOK
		})
		if !<-stored {
			return false
		}
	}
	dropped := make(chan bool, 1)
	life.DropHint(hint, object.Context, func(gone bool) { dropped <- gone })
	return <-dropped
}
