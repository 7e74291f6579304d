// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// params encodes an array of one map of pairs that are encoded already, by hand: many of
// them are what our own encoders would never write.
func params(pairs ...string) []byte {
	b := []byte{0x91, 0x80 | byte(len(pairs)/2)}
	for _, s := range pairs {
		b = append(b, s...)
	}
	return b
}

func str(s string) string { return string(append([]byte{0xd9, byte(len(s))}, s...)) }

func bin(n int) string {
	head := []byte{0xc6, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	return string(head) + strings.Repeat("b", n)
}

func raw(h string) string {
	b, err := hex.DecodeString(h)
	if err != nil {
		panic("the test has bad hex")
	}
	return string(b)
}

func TestRefusalsHaveTheCodeOfTheProtocolAndLeaveTheConnectionAlive(t *testing.T) {
	key, value := str("key"), str("value")
	foreign := vclock.AppendToken(nil, vclock.Bind([16]byte{9}, 1, []byte("k")), vclock.ContextOf())
	token := string(append([]byte{0xc4, byte(len(foreign))}, foreign...))
	cases := []struct {
		name, method string
		params       []byte
		code         wire.Code
		text         string
	}{
		{"unknown method", "kv.drop", params(), wire.CodeUnknownMethod, "kv.drop"},
		{"no dev methods", wire.MethodNodeStop, params(), wire.CodeUnknownMethod, ""},
		{"unknown key", "kv.get", params(key, str("k"), str("fast"), raw("c3")), "INVALID", "fast"},
		{"key of another method", "kv.get", params(key, str("k"), value, str("v")), "INVALID", "value"},
		{"key twice", "kv.get", params(key, str("k"), key, str("k")), "INVALID", "twice"},
		{"no key", "kv.get", params(), "INVALID", "key"},
		{"empty key", "kv.get", params(key, bin(0)), "INVALID", "key"},
		{"no value", "kv.put", params(key, str("k")), "INVALID", "value"},
		{"two maps", "kv.get", []byte(raw("928080")), "INVALID", "one map"},
		{"longest key", "kv.get", params(key, bin(kv.MaxKey)), "", ""},
		{"longer key", "kv.get", params(key, bin(kv.MaxKey+1)), "TOO_LARGE", "key"},
		{"largest value", "kv.put", params(key, str("k"), value, bin(kv.MaxValue)), "", ""},
		{"larger value", "kv.put", params(key, str("k"), value, bin(kv.MaxValue+1)), "TOO_LARGE", "value"},
		{"longer bucket name", "kv.get", params(key, str("k"), str("bucket"), bin(256)), "TOO_LARGE", ""},
		{"unknown bucket", "kv.get", params(key, str("k"), str("bucket"), str("b")), "NO_SUCH_BUCKET", "b"},
		{"unknown bucket asked for", "bucket.get", params(str("name"), str("b")), "NO_SUCH_BUCKET", "b"},
		{"larger context", "kv.put", params(key, str("k"), value, str(""), str("context"), bin(wire.MaxToken+1)), "TOO_LARGE", "context"},
		{"damaged context", "kv.put", params(key, str("k"), value, str(""), str("context"), bin(99)), "INVALID", "context"},
		{"foreign context", "kv.put", params(key, str("k"), value, str(""), str("context"), token), "INVALID", "context"},
		{"r above n", "kv.get", params(key, str("k"), str("r"), raw("04")), "INVALID", "replicas"},
		{"w above n", "kv.put", params(key, str("k"), value, str(""), str("w"), raw("04")), "INVALID", "replicas"},
		{"r of 0", "kv.get", params(key, str("k"), str("r"), raw("00")), "INVALID", "r"},
		{"unknown level", "kv.get", params(key, str("k"), str("r"), str("most")), "INVALID", "quorum"},
		{"atomic below a majority", "kv.get", params(key, str("k"), str("r"), str("one"), str("atomic"), raw("c3")), "INVALID", ""},
		{"fence", "kv.put", params(key, str("k"), value, str(""), str("fence"), raw("07")), "INVALID", "fence"},
		{"fence of a delete", "kv.delete", params(key, str("k"), str("fence"), raw("07")), "INVALID", "fence"},
		{"no time", "kv.get", params(key, str("k"), str("timeout_ms"), raw("00")), "INVALID", "timeout_ms"},
		{"long trace", "kv.get", params(key, str("k"), str("trace"), str(strings.Repeat("x", 129))), "TOO_LARGE", "trace"},
		{"no ttl", "kv.put", params(key, str("k"), value, str(""), str("ttl_ms"), raw("00")), "INVALID", "ttl_ms"},
		{"made up skip", "kv.get", params(key, str("k"), str("skip"), bin(25)), "INVALID", "start again"},
		{"made up cursor", "kv.scan", params(str("cursor"), bin(20)), "INVALID", "start again"},
		{"a page of nothing", "kv.scan", params(str("limit"), raw("00")), "INVALID", "limit"},
		{"a page of 1,025", "kv.scan", params(str("limit"), raw("cd0401")), "INVALID", "limit"},
		{"1,025 keys", "kv.get_many", params(str("keys"), raw("dc0401")+strings.Repeat("\xa1k", 1025)), "TOO_LARGE", "keys"},
		{"no proto in common", "hello", params(str("proto"), raw("920203")), "UNSUPPORTED_VERSION", "2 3"},
		{"a proto in common", "hello", params(str("proto"), raw("920301")), "", ""},
		{"unknown key of hello", "hello", params(str("fast"), raw("c3")), "INVALID", "fast"},
		{"unknown key of ping", "ping", params(str("fast"), raw("c3")), "INVALID", "fast"},
		{"a key that is ignored", "ping", params(str("x-fast"), raw("c3")), "", ""},
		{"all defaults", "ping", []byte(raw("c0")), "", ""},
	}
	inBubble(t, shape{members: 3, replicas: 3}, func(t *testing.T, f *fixture) {
		f.world.buckets[0].R, f.world.buckets[0].W = kv.LevelOne, kv.LevelOne
		c := f.client()
		for _, test := range cases {
			_, err := call(c, test.method, test.params)
			if err == nil && test.code == "" {
				continue
			}
			if code, text := codeOf(err); code != test.code || !strings.Contains(text, test.text) {
				t.Errorf("%s: %v, want %s with %q", test.name, err, test.code, test.text)
			}
		}
		for key := range f.keys.objects {
			if key != "k" || len(f.keys.objects) > 1 {
				t.Errorf("a refused write left %q", key)
			}
		}
		if n := f.logs.FilterLevelExact(zap.ErrorLevel).Len(); n > 0 {
			t.Errorf("%d refusals were logged as faults", n)
		}
	})
}

func TestRequestWhoseTimeIsOverHasDoneNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, shape{})
		for _, write := range []struct {
			method string
			handle func(context.Context, *request) (encoder, error)
			params []byte
		}{
			{wire.MethodPut, f.server.handlePut, wire.AppendPutRequest(nil, &wire.PutRequest{
				Common: wire.Common{TimeoutMS: 20}, Key: []byte("k"), Value: []byte("v"),
			})},
			{wire.MethodDelete, f.server.handleDelete, wire.AppendDeleteRequest(nil,
				&wire.DeleteRequest{Common: wire.Common{TimeoutMS: 20}, Key: []byte("k")})},
		} {
			req := &request{method: write.method, params: write.params, arrived: time.Now()}
			time.Sleep(20 * time.Millisecond) // it had to wait for its goroutine
			_, err := write.handle(t.Context(), req)
			code, _ := wire.ParseError(f.server.errorText(req, err))
			if code.Outcome(wire.OpWrite) != wire.OutcomeNone || !strings.Contains(err.Error(), "ms") {
				t.Errorf("%s: %v, which leaves the outcome open or gives no delay", write.method, err)
			}
		}
		if len(f.keys.objects) > 0 {
			t.Error("something was written")
		}
	})
}

func TestWriteThatIsNotAcknowledgedInTimeIsUnknown(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		f.keys.stick()
		began := time.Now()
		_, err := put(f.client(), wire.PutRequest{
			Common: wire.Common{TimeoutMS: 250}, Key: []byte("k"), Value: []byte("v"),
		})
		if code, _ := codeOf(err); code != wire.CodeTimeout {
			t.Errorf("error %v, want TIMEOUT", err)
		}
		if took := time.Since(began); took != 250*time.Millisecond {
			t.Errorf("it took %v, not 250 ms", took)
		}
	})
}

func TestNoRequestRunsLongerThanTheLongestTimeout(t *testing.T) {
	longest := func(cfg *Config) { cfg.MaxTimeout = time.Second }
	inBubble(t, shape{change: longest}, func(t *testing.T, f *fixture) {
		f.keys.stick()
		began := time.Now()
		_, err := put(f.client(), wire.PutRequest{
			Common: wire.Common{TimeoutMS: 1 << 31}, Key: []byte("k"), Value: []byte("v"),
		})
		if code, _ := codeOf(err); code != wire.CodeTimeout || time.Since(began) != time.Second {
			t.Errorf("error %v after %v, want TIMEOUT after 1 s", err, time.Since(began))
		}
	})
}

func TestFaultOfOurOwnIsLoggedOnceWithTheTrace(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		f.keys.code = wire.ReplicaFailed
		_, err := put(f.client(), wire.PutRequest{
			Common: wire.Common{Trace: "req-7"}, Key: []byte("k"), Value: []byte("v"),
		})
		if code, _ := codeOf(err); code != wire.CodeInternal {
			t.Fatalf("error %v, want INTERNAL", err)
		}
		faults := f.logs.FilterLevelExact(zap.ErrorLevel).All()
		if len(faults) != 1 || faults[0].ContextMap()["trace"] != "req-7" {
			t.Errorf("the log has %v", faults)
		}
	})
}

func TestTraceIsEchoedInTheLog(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		c := f.client()
		trace := params(str("trace"), str("t-1"))
		for _, method := range []string{"ping", "hello", "cluster.info", "kv.scan"} {
			if _, err := call(c, method, trace); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			done := f.logs.FilterMessage("request").FilterField(zap.String("trace", "t-1")).
				FilterField(zap.String("method", method))
			if done.Len() != 1 {
				t.Errorf("%s: %d lines with its trace", method, done.Len())
			}
		}
	})
}

func TestWhatIsStoredSharesNoMemoryWithTheConnection(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		c := f.client()
		want := bytes.Repeat([]byte("first"), 100)
		_, err := put(c, wire.PutRequest{Key: []byte("first"), Value: want})
		must(t, err)
		for range 20 { // over the same buffers
			_, err := put(c, wire.PutRequest{
				Key: []byte("other"), Value: bytes.Repeat([]byte("OTHER"), 100),
			})
			must(t, err)
		}
		if got := f.keys.object("first").Versions[0].Value; !bytes.Equal(got, want) {
			t.Errorf("the stored value became %.40q", got)
		}
	})
}
