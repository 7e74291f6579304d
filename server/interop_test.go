// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ugorji/go/codec"
)

// ugorji connects the client of a library that nobody here wrote.
func ugorji(t *testing.T, addr string) *rpc.Client {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	handle := &codec.MsgpackHandle{}
	handle.WriteExt = true // bin and str, as the present MessagePack specification has them
	client := rpc.NewClientWithCodec(codec.MsgpackSpecRpc.ClientCodec(conn, handle))
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

type options map[string]any

// call calls a method with one map as its only parameter.
func call(client *rpc.Client, method string, params options) (map[string]any, error) {
	var result map[string]any
	err := client.Call(method, codec.MsgpackSpecRpcMultiArgs{params}, &result)
	return result, err
}

func TestUgorjiClientTalksToANode(t *testing.T) {
	cluster := startCluster(t, 3)
	for _, member := range cluster.Members() {
		client := ugorji(t, member.Client)
		hello, err := call(client, "hello", options{"client": "ugorji", "proto": []int{1}})
		if err != nil {
			t.Fatal(err)
		}
		if node := text(hello["node"]); node != member.Name {
			t.Errorf("hello says node %q, want %q", node, member.Name)
		}
		key := "key of " + member.Name
		put, err := call(client, "kv.put", options{"key": key, "value": []byte("a value")})
		if err != nil {
			t.Fatal(err)
		}
		if len(put["context"].([]byte)) == 0 {
			t.Error("put returned no context")
		}
		got, err := call(client, "kv.get", options{"key": key})
		if err != nil {
			t.Fatal(err)
		}
		siblings := got["siblings"].([]any)
		if len(siblings) != 1 || text(siblings[0].(map[any]any)["value"]) != "a value" {
			t.Errorf("get returned %v", got)
		}
		_, err = call(client, "kv.put", options{"key": key, "value": "x", "wrong": true})
		if err == nil || !strings.HasPrefix(err.Error(), "INVALID: ") ||
			!strings.Contains(err.Error(), "wrong") {
			t.Errorf("an unknown option was answered with %v", err)
		}
		_, err = call(client, "no.such.method", options{})
		if err == nil || !strings.HasPrefix(err.Error(), "UNKNOWN_METHOD: ") {
			t.Errorf("an unknown method was answered with %v", err)
		}
		hundredInFlight(t, client, key)
		lockIsTakenAndGiven(t, client, "lock of "+member.Name)
	}
}

// lockIsTakenAndGiven has two sessions of one client hold a lock one after the other; the
// second waits while the first releases over the same connection.
func lockIsTakenAndGiven(t *testing.T, client *rpc.Client, name string) {
	t.Helper()
	must := func(method string, params options) map[string]any {
		t.Helper()
		result, err := call(client, method, params)
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		return result
	}
	first := must("session.open", options{"name": "ugorji", "ttl_ms": 5000})["session"]
	second := must("session.open", options{})["session"]
	held := must("lock.acquire", options{"session": first, "holder": 1, "name": name})
	_, err := call(client, "lock.acquire", options{"session": second, "holder": 1, "name": name})
	if err == nil || !strings.HasPrefix(err.Error(), "LOCK_HELD: ") {
		t.Errorf("a lock that is held was answered with %v", err)
	}
	var next map[string]any
	waiting := client.Go("lock.acquire", codec.MsgpackSpecRpcMultiArgs{options{
		"session": second, "holder": 2, "name": name, "wait_ms": 60_000, "timeout_ms": 30_000,
	}}, &next, nil)
	must("session.keepalive", options{"session": first})
	shown := must("lock.get", options{"name": name})
	if holders := shown["holders"].([]any); len(holders) != 1 {
		t.Errorf("the lock is shown as %v", shown)
	}
	freed := must("lock.release",
		options{"session": first, "holder": 1, "name": name, "fence": held["fence"]})
	if freed["released"] != true {
		t.Errorf("released: %v", freed)
	}
	if done := <-waiting.Done; done.Error != nil || number(next["fence"]) <= number(held["fence"]) {
		t.Errorf("after fence %v the next was granted %v, %v", held["fence"], next, done.Error)
	}
	for _, session := range []any{first, second} {
		must("session.close", options{"session": session})
	}
}

// number is an integer as a uint64, whichever type the library made of it.
func number(v any) uint64 {
	switch v := v.(type) {
	case int64:
		return uint64(v)
	case uint64:
		return v
	default:
		return 0
	}
}

func hundredInFlight(t *testing.T, client *rpc.Client, key string) {
	t.Helper()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if got, err := call(client, "kv.get", options{"key": key}); err != nil ||
				got["found"] != true {
				t.Errorf("one of 100 in flight: %v, %v", got, err)
			}
		})
	}
	all.Wait()
}

// text is a string or bytes as a string: libraries differ in what they make of both.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	default:
		return ""
	}
}

// The npm package has to be fetched. Where there is no node, or no registry, the test is
// left out. .ci/run sets CI where there is a node, and then nothing is left out.
func TestNeovimTransportTalksToANode(t *testing.T) {
	lacks := func(what string, err error) {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s: %v", what, err)
		}
		t.Skipf("the client of another language runs on node, with a package of npm's, and %s: %v; "+
			"where CI is set this is a failure", what, err)
	}
	if _, err := exec.LookPath("npm"); err != nil {
		lacks("node is not installed", err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "neovim"))); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "install", "--no-package-lock",
		"--no-audit", "--no-fund", "--ignore-scripts")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		lacks("npm could not fetch the package", errorWith(err, out))
	}
	cluster := startCluster(t, 3)
	host, port, err := net.SplitHostPort(cluster.Members()[0].Client)
	if err != nil {
		t.Fatal(err)
	}
	session := exec.CommandContext(t.Context(), "node", "session.js", host, port)
	session.Dir = dir
	out, err := session.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Fatalf("%v: %s", err, out)
	}
}

type withOutput struct {
	err error
	out []byte
}

func (e withOutput) Error() string { return e.err.Error() + ": " + string(e.out) }

func errorWith(err error, out []byte) error { return withOutput{err, out} }
