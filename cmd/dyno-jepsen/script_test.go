// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

// The scripts run this very binary as `dyno-jepsen`, which starts itself for each plan.
func TestMain(m *testing.M) {
	testscript.Main(leakFree{m}, map[string]func(){"dyno-jepsen": main})
}

// leakFree fails tests that leave goroutines behind.
type leakFree struct{ *testing.M }

func (l leakFree) Run() int {
	code := l.M.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestScripts(t *testing.T) {
	seeds, err := filepath.Abs(filepath.Join("..", "..", "jepsen", "seeds"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("TMPDIR", env.WorkDir)
			env.Setenv("SEEDS", seeds)
			path := filepath.SplitList(env.Getenv("PATH"))[0] // where testscript put it
			env.Setenv("DYNO_JEPSEN", filepath.Join(path, "dyno-jepsen"))
			// Else each program that was built with the race detector ends a second late.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code":    cmdCode,
			"history": cmdHistory,
			"json":    cmdJSON,
		},
		RequireUniqueNames: true,
	})
}

// cmdCode runs a command that must end with a code: code 64 dyno-jepsen nothing.
func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// cmdHistory makes a history: history FILE good|bad|cut.
func cmdHistory(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: history FILE good|bad|cut")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	h, err := checker.Generate(rng, checker.DefaultShape())
	ts.Check(err)
	if args[1] == "bad" {
		bad, ok := checker.Corruptors()[1].Corrupt(rng, h)
		if !ok {
			ts.Fatalf("no place for a phantom")
		}
		h = bad
	}
	path := ts.MkAbs(args[0])
	out, err := os.Create(path)
	ts.Check(err)
	ts.Check(errors.Join(history.WriteAll(out, h), out.Close()))
	if args[1] == "cut" {
		info, err := os.Stat(path)
		ts.Check(err)
		ts.Check(os.Truncate(path, info.Size()/2))
	}
}

// cmdJSON demands that the last output is one document of this version with a field of
// this value: json verdict valid.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: json FIELD VALUE")
	}
	var document map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &document))
	if document["version"] != float64(outputVersion) {
		ts.Fatalf("version %v", document["version"])
	}
	if got := fmt.Sprint(document[args[0]]); got != args[1] {
		ts.Fatalf("%s is %s, want %s", args[0], got, args[1])
	}
}
