// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// forward hands a put to the server as a peer does.
func forward(t *testing.T, p *rpc.Client, key string) wire.ForwardReply {
	t.Helper()
	write := wire.AppendPutRequest(nil, &wire.PutRequest{Key: []byte(key), Value: []byte("v")})
	return forwardRaw(t, p, &wire.ForwardRequest{
		Method: wire.MethodPut, RemainingMS: 2000, Params: write,
	})
}

func forwardRaw(t *testing.T, p *rpc.Client, q *wire.ForwardRequest) wire.ForwardReply {
	t.Helper()
	var reply wire.ForwardReply
	b, err := call(p, wire.MethodForward, wire.AppendForwardRequest(nil, q))
	if err != nil {
		reply.Error = err.Error()
		return reply
	}
	if err := wire.DecodeForwardReply(b, &reply); err != nil {
		t.Error(err)
	}
	return reply
}

// elsewhere finds a key that this node does not own.
func (f *fixture) elsewhere() string {
	for c := 'a'; ; c++ {
		p := f.server.partitionOf(f.world.buckets[0], []byte(string(c)))
		if f.world.ring.Placement(p).Slots[0].Owner != 1 {
			return string(c)
		}
	}
}

func TestHelloOfAStrangerIsRefused(t *testing.T) {
	cases := []struct {
		name   string
		change func(*wire.PeerHello)
		code   wire.Code
	}{
		{"another cluster", func(h *wire.PeerHello) { h.Cluster[0]++ }, wire.CodeInvalid},
		{"this very node", func(h *wire.PeerHello) { h.Node = 1 }, wire.CodeInvalid},
		{"a later version", func(h *wire.PeerHello) { h.Min, h.Max = 7, 9 }, wire.CodeUnsupportedVersion},
		{"a version beyond 16 bits", func(h *wire.PeerHello) { h.Min, h.Max = 1<<16+1, 1<<16+1 },
			wire.CodeUnsupportedVersion},
		{"no version", func(h *wire.PeerHello) { h.Min, h.Max = 2, 1 }, wire.CodeInvalid},
		{"a newer node that speaks ours", func(h *wire.PeerHello) { h.Max = 9 }, ""},
	}
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		f.keys.put("k", 1, 1)
		read := wire.AppendReadRequest(nil, &wire.ReadRequest{
			Target: wire.Target{Bucket: 1, Key: []byte("k"), Placement: 1, RemainingMS: 100},
			Mode:   wire.ReadFull,
		})
		for _, test := range cases {
			hello := f.hello()
			test.change(hello)
			p := f.peer(nil)
			if _, err := call(p, wire.MethodRead, read); err == nil {
				t.Fatalf("%s: a read was answered before any hello", test.name)
			}
			_, err := call(p, wire.MethodPeerHello, wire.AppendPeerHello(nil, hello))
			if code, _ := codeOf(err); test.code != code && (err != nil || test.code != "") {
				t.Errorf("%s: %v, want %s", test.name, err, test.code)
			}
			_, err = call(p, wire.MethodRead, read)
			if accepted := err == nil; accepted != (test.code == "") {
				t.Errorf("%s: a read afterwards: %v", test.name, err)
			}
		}
	})
}

func TestAStrangerCostsThePeerPortFewBytesAndSeconds(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		long := append([]byte{0x91, 0xc6, 0x00, 0x10, 0x00, 0x00}, make([]byte, 1<<20)...)
		chatty, silent, member := f.peer(nil), f.peer(nil), f.peer(f.hello())
		began := time.Now()
		if _, err := call(chatty, wire.MethodStore, long); err == nil {
			t.Error("a mebibyte of a stranger was answered")
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it was taken for %v", took)
		}
		select {
		case <-silent.Ended():
		case <-time.After(time.Minute):
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("a silent stranger was suffered for %v", took)
		}
		_, err := call(member, wire.MethodStore, long)
		if code, text := codeOf(err); code != wire.CodeInvalid || !strings.Contains(text, "store") {
			t.Errorf("a member's long message: %v", err)
		}
	})
}

func TestWriteOfAKeyOfOthersIsForwardedWithTheTimeThatIsLeft(t *testing.T) {
	inBubble(t, shape{members: 2, partitions: 16}, func(t *testing.T, f *fixture) {
		key := f.elsewhere()
		answer := wire.PutResult{Context: []byte("of the owner"), SiblingCount: 3}
		f.others.answer.Result = wire.AppendPutResult(nil, &answer)
		got, err := put(f.client(), wire.PutRequest{
			Common: wire.Common{TimeoutMS: 700, Trace: "t"}, Key: []byte(key), Value: []byte("v"),
		})
		must(t, err)
		if !bytes.Equal(got.Context, answer.Context) || got.SiblingCount != 3 {
			t.Errorf("the client was told %+v", got)
		}
		sent := f.others.forwarded[0]
		var q wire.PutRequest
		must(t, wire.DecodePutRequest(sent.Params, &q))
		if sent.RemainingMS != 700 || string(q.Key) != key || q.Trace != "t" {
			t.Errorf("forwarded %+v as %+v", q, sent)
		}
		f.others.answer = wire.ForwardReply{Error: "TOO_MANY_SIBLINGS: 100"}
		_, err = put(f.client(), wire.PutRequest{Key: []byte(key), Value: []byte("v")})
		if code, _ := codeOf(err); code != wire.CodeTooManySiblings {
			t.Errorf("the owner's error became %v", err)
		}
		if len(f.keys.objects) > 0 {
			t.Error("a node that owns nothing of it stored the key")
		}
	})
}

func TestWhatIsForwardedStaysAsItIsUntilItIsAnswered(t *testing.T) {
	inBubble(t, shape{members: 2, partitions: 16}, func(t *testing.T, f *fixture) {
		f.others.late = true
		key, c := f.elsewhere(), f.client()
		_, err := put(c, wire.PutRequest{
			Common: wire.Common{TimeoutMS: 100}, Key: []byte(key), Value: []byte("first"),
		})
		if code, _ := codeOf(err); code != wire.CodeTimeout {
			t.Fatalf("error %v, want TIMEOUT", err)
		}
		for range 20 { // over the same buffer
			_, err := call(c, wire.MethodGet, params(str("key"), str("a key as long as the put was")))
			must(t, err)
		}
		var q wire.PutRequest
		if err := wire.DecodePutRequest(f.others.forwarded[0].Params, &q); err != nil ||
			string(q.Value) != "first" {
			t.Errorf("the open send became %q, %v", q.Value, err)
		}
		time.Sleep(2 * time.Second) // until it is answered
	})
}

func TestForwardedWriteIsNeverForwardedAgain(t *testing.T) {
	inBubble(t, shape{members: 2, partitions: 16}, func(t *testing.T, f *fixture) {
		answer := forward(t, f.peer(f.hello()), f.elsewhere())
		if !strings.HasPrefix(answer.Error, "NOT_READY: ") || len(f.others.forwarded) > 0 {
			t.Errorf("answer %q, %d forwarded again", answer.Error, len(f.others.forwarded))
		}
	})
}

func TestOnlyWritesAreForwardedAndTheirTimeTravels(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		p := f.peer(f.hello())
		answer := forwardRaw(t, p, &wire.ForwardRequest{Method: wire.MethodGet, RemainingMS: 100})
		if !strings.Contains(answer.Error, "kv.get") {
			t.Errorf("a get: %q", answer.Error)
		}
		late := forwardRaw(t, p, &wire.ForwardRequest{
			Method: wire.MethodPut, RemainingMS: 0,
			Params: wire.AppendPutRequest(nil, &wire.PutRequest{Key: []byte("k"), Value: []byte("v")}),
		})
		if !strings.HasPrefix(late.Error, "OVERLOADED: ") || len(f.keys.objects) > 0 {
			t.Errorf("a put whose time is over: %q, %d keys", late.Error, len(f.keys.objects))
		}
		f.keys.stick()
		began := time.Now()
		open := forward(t, p, "k")
		if took := time.Since(began); took != 2*time.Second ||
			!strings.HasPrefix(open.Error, "TIMEOUT: ") {
			t.Errorf("a put that gets stuck: %q after %v", open.Error, took)
		}
	})
}

func TestForwardedRequestsCountAsClients(t *testing.T) {
	one := func(cfg *Config) { cfg.MaxRequests = 1 }
	inBubble(t, shape{change: one}, func(t *testing.T, f *fixture) {
		f.keys.stick()
		ended := begin(f.client(), "k", 1)
		synctest.Wait()
		answer := forward(t, f.peer(f.hello()), "k2")
		if !strings.HasPrefix(answer.Error, "OVERLOADED: ") {
			t.Errorf("answer %q, want OVERLOADED", answer.Error)
		}
		f.keys.release()
		must(t, <-ended)
	})
}

func TestPeersAboveTheirBoundAreRefused(t *testing.T) {
	few := func(cfg *Config) { cfg.MaxPeerBytes = 100 }
	inBubble(t, shape{change: few}, func(t *testing.T, f *fixture) {
		s := f.server
		must(t, s.peers.enter(90)) // another one is under way
		p := f.peer(f.hello())
		store := wire.AppendStoreRequest(nil, &wire.StoreRequest{
			Target: wire.Target{Bucket: 1, Key: []byte("k"), Placement: 1, RemainingMS: 100},
			Role:   kv.RoleOwner, Class: kv.ClassReplicated,
		})
		_, err := call(p, wire.MethodStore, store)
		if code, _ := codeOf(err); code != wire.CodeOverloaded {
			t.Errorf("error %v, want OVERLOADED", err)
		}
		s.peers.leave(90)
		if _, err := call(p, wire.MethodStore, store); err != nil {
			t.Errorf("when there is room again: %v", err)
		}
		synctest.Wait()
		if open, refused := s.peers.counts(); open != 0 || refused != 1 {
			t.Errorf("%d open, %d refused", open, refused)
		}
	})
}

func TestWhatAPeerStoresSharesNoMemoryWithTheConnection(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		p := f.peer(f.hello())
		store := func(key string, fill byte) {
			object, err := kv.Object{}.Put(kv.Version{
				Dot: dotOf(uint64(fill)), Kind: kv.KindValue, Value: bytes.Repeat([]byte{fill}, 300),
			}.Sealed(), f.keys.object("none").Context)
			must(t, err)
			_, err = call(p, wire.MethodStore, wire.AppendStoreRequest(nil, &wire.StoreRequest{
				Target: wire.Target{Bucket: 1, Key: []byte(key), Placement: 1, RemainingMS: 100},
				Role:   kv.RoleOwner, Class: kv.ClassReplicated, Object: object,
			}))
			must(t, err)
		}
		store("first", 1)
		for i := range byte(20) {
			store("other", 2+i)
		}
		value := f.keys.object("first").Versions[0].Value
		if !bytes.Equal(value, bytes.Repeat([]byte{1}, 300)) {
			t.Errorf("the stored value became %v", value[:10])
		}
	})
}
