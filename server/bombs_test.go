// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// bombs are messages that kill, or make a glutton of, a decoder which believes what a
// length says; and what else a stranger may send.
func bombs() map[string][]byte {
	get := "9400a6" + hex.EncodeToString([]byte("kv.get")) // [0, msgid follows, "kv.get", ...
	request := func(params string) []byte {
		return unhex("940001a6" + hex.EncodeToString([]byte("kv.get")) + params)
	}
	deep := strings.Repeat("91", 1000) + "c0"
	return map[string][]byte{
		"six bytes that kill a library":  unhex("ddffffffff01"),
		"array of four billion":          request("ddffffffff"),
		"array of four billion in a map": request("9181a36b6579ddffffffff01"),
		"map of four billion":            request("91dfffffffff01"),
		"string of four gigabytes":       request("9181a36b6579dbffffffff00"),
		"binary of four gigabytes":       request("9181a36b6579c6ffffffff00"),
		"extension of four gigabytes":    request("91c9ffffffff00"),
		"a thousand nested arrays":       request(deep),
		"a million nested arrays":        request(strings.Repeat("91", 1_000_000)),
		"a million nested maps":          request(strings.Repeat("81a16b", 1_000_000)),
		"a million empty arrays":         request("91dd000f4240" + strings.Repeat("90", 1_000_000)),
		"the byte that is never used":    request("91c1"),
		"a method name of 60 KiB":        append(unhex("940001da"+"f000"), make([]byte, 0xf000)...),
		"a type that does not exist":     unhex("940701a470696e6790"),
		"a response to nothing":          unhex("940101c0c0"),
		"an HTTP request":                []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"a TLS hello":                    unhex("160301020001"),
		"a message that never ends":      unhex(get),
		"five megabytes of value": append(request("9182a36b6579a16ba576616c7565c6004c4b40"),
			make([]byte, 5_000_000)...),
		"a key of five kilobytes": append(request("9181a36b6579c51400"), make([]byte, 0x1400)...),
		"keys that are numbers":   request("9181a36b657901"),
		"a float as a timeout":    request("9182a36b6579a16baa74696d656f75745f6d73cb3ff0000000000000"),
		"params that are a map":   request("81a36b6579a16b"),
		"two maps":                request("928080"),
		"a forged context":        request("9182a36b6579a16ba7636f6e74657874c403010203"),
	}
}

func TestNoBytesHurtALiveNode(t *testing.T) {
	cluster := startCluster(t, 3)
	addr := cluster.Members()[0].Client
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, bomb := range bombs() {
		t.Run(name, func(t *testing.T) {
			throw(t, addr, bomb)
			ping(t, addr)
		})
	}
	runtime.ReadMemStats(&after)
	// All bombs together are about 12 MB long; a node may hold a message of each
	// connection, and this test holds them too.
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 256<<20 {
		t.Errorf("%d MB were allocated for a few bombs", grown>>20)
	}
}

func TestRandomBytesHurtNoLiveNode(t *testing.T) {
	cluster := startCluster(t, 1)
	addr := cluster.Members()[0].Client
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	source := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		junk := make([]byte, 1+source.IntN(2000))
		for i := range junk {
			junk[i] = byte(source.Uint32())
		}
		if source.IntN(2) == 0 {
			junk[0] = 0x94
		}
		throw(t, addr, junk)
	}
	ping(t, addr)
}

// throw sends bytes and demands an error or the end of the connection, and that what is
// answered is well formed. A message that is not over yet gets the end from here.
func throw(t *testing.T, addr string, bomb []byte) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	go func() {
		_, _ = io.Copy(conn, bytes.NewReader(bomb)) // the node may close in the middle
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}()
	answer, err := io.ReadAll(io.LimitReader(conn, 1<<20))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("neither answered nor closed within 10 s")
	}
	for len(answer) > 0 {
		scanner := wire.Scanner{Limits: wire.ScanLimits{Bytes: 1 << 20, Depth: 16}}
		n, done, err := scanner.Scan(answer)
		if err != nil || !done {
			t.Fatalf("the answer is malformed: %x, %v", answer, err)
		}
		header, err := wire.ParseHeader(answer[:n])
		if err != nil || header.Type != wire.TypeResponse {
			t.Fatalf("the answer is no response: %x, %v", answer[:n], err)
		}
		answer = answer[n:]
	}
}

// ping demands that the node still serves.
func ping(t *testing.T, addr string) {
	t.Helper()
	client := dial(t, addr)
	if _, err := client.Call(t.Context(), wire.MethodPing, func(dst []byte) []byte {
		return wire.AppendEmptyRequest(dst, &wire.EmptyRequest{})
	}); err != nil {
		t.Fatalf("the node no longer answers: %v", err)
	}
}

func TestSameMsgidTwiceIsInvalidAndEndsTheConnection(t *testing.T) {
	cluster := startCluster(t, 3)
	conn, err := net.DialTimeout("tcp", cluster.Members()[0].Client, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	var twice []byte
	for range 2 {
		twice = wire.AppendRequestHeader(twice, 7, wire.MethodPut)
		twice = wire.AppendPutRequest(twice, &wire.PutRequest{
			Key: []byte("k"), Value: []byte("v"),
		})
	}
	if _, err := conn.Write(twice); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.Contains(answer, []byte("INVALID: ")) {
		t.Errorf("answer %q, %v", answer, err)
	}
}

func TestLimitsAreToldAndLeaveTheConnectionAlive(t *testing.T) {
	cluster := startCluster(t, 3)
	client := dial(t, cluster.Members()[0].Client)
	cases := []struct {
		name  string
		key   int
		value int
		code  string
	}{
		{"the largest value", 10, 512 << 10, ""},
		{"one byte more", 10, 512<<10 + 1, "TOO_LARGE"},
		{"the longest key", 4 << 10, 1, ""},
		{"one byte longer", 4<<10 + 1, 1, "TOO_LARGE"},
		{"an empty value", 10, 0, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := client.Call(t.Context(), wire.MethodPut, func(dst []byte) []byte {
				return wire.AppendPutRequest(dst, &wire.PutRequest{
					Key:   bytes.Repeat([]byte("k"), c.key),
					Value: make([]byte, c.value),
				})
			})
			var told *rpc.RemoteError
			switch {
			case c.code == "" && err != nil:
				t.Error(err)
			case c.code != "" && (!errors.As(err, &told) || told.Code() != c.code):
				t.Errorf("error %v, want %s", err, c.code)
			}
		})
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(fmt.Sprintf("the test has bad hex: %v", err))
	}
	return b
}
