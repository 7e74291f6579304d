// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// The scripts run this very binary as `dyno`, against clusters that it runs.
func TestMain(m *testing.M) {
	testscript.Main(leakFree{m}, map[string]func(){"dyno": main, "geturl": getURL})
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

// Bounds of waits; generous, since test machines are busy.
const (
	devReady = 90 * time.Second
	devEnd   = 60 * time.Second
	patience = 60 * time.Second
)

func TestScripts(t *testing.T) {
	commands := map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"dev":        cmdDev,
		"devend":     cmdDevEnd,
		"code":       cmdCode,
		"eventually": cmdEventually,
		"capture":    cmdCapture,
		"mktree":     cmdMakeTree,
		"sametree":   cmdSameTree,
		"occupy":     cmdOccupy,
		"freeport":   cmdFreePort,
		"dynoin":     cmdDynoIn,
		"readme":     cmdReadme,
		"bigfile":    cmdBigFile,
		"oddtree":    cmdOddTree,
		"oddbig":     cmdOddBig,
		"badlines":   cmdBadLines,
	}
	maps.Copy(commands, serveCommands())
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Values[clustersKey{}] = &clusters{running: make(map[string]*devProcess)}
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("TMPDIR", env.WorkDir)
			// Else each program that was built with the race detector ends a second late.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return copyReadme(env)
		},
		Cmds: commands,
		Condition: func(name string) (bool, error) {
			if name == "long" {
				return os.Getenv("DYNO_LONG") != "", nil
			}
			return false, fmt.Errorf("no condition %q", name)
		},
		RequireUniqueNames: true,
	})
}

type clustersKey struct{}

// clusters are the processes that a script has started.
type clusters struct {
	mu      sync.Mutex
	running map[string]*devProcess
}

type devProcess struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed when a single node serves; nil for a whole cluster
	ended chan struct{} // closed when it has ended
	errs  bytes.Buffer  // to be read once it has ended
}

// end asks the process to end, waits, and returns its exit code.
func (p *devProcess) end(sig os.Signal) int {
	_ = p.cmd.Process.Signal(sig) // it may have ended by itself
	select {
	case <-p.ended:
	case <-time.After(devEnd):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return -1
	}
	return p.cmd.ProcessState.ExitCode()
}

// cmdDev starts a cluster: dev NAME [flags]. It waits until the cluster is ready, and
// sets DYNO_ENDPOINTS, and for node n1 the variable n1 to its address, and so on.
func cmdDev(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: dev NAME [flags]")
	}
	all := ts.Value(clustersKey{}).(*clusters)
	flags := append([]string{"dev", "-o", "json", "--disk-reserve", "0"}, args[1:]...)
	if !strings.Contains(strings.Join(args, " "), "--listen") {
		flags = append(flags, "--listen", freeAddress(ts))
	}
	path := ts.Getenv("PATH")
	binary := filepath.Join(strings.Split(path, string(os.PathListSeparator))[0], "dyno")
	p := &devProcess{cmd: exec.Command(binary, flags...), ended: make(chan struct{})}
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = []string{
		"PATH=" + path, "TMPDIR=" + ts.Getenv("TMPDIR"), "HOME=" + ts.Getenv("HOME"),
		"GORACE=" + ts.Getenv("GORACE"),
	}
	p.cmd.Stderr = &p.errs
	out, err := p.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(p.cmd.Start())
	lines := make(chan []byte, 1)
	go func() {
		defer close(p.ended)
		line, _ := bufio.NewReader(out).ReadBytes('\n')
		lines <- line
		_ = p.cmd.Wait() // the exit code tells
	}()
	ts.Defer(func() { p.end(syscall.SIGKILL) })
	var told devOutput
	select {
	case line := <-lines:
		if err := json.Unmarshal(line, &told); err != nil {
			<-p.ended
			ts.Fatalf("dyno dev did not become ready: %s", p.errs.String())
		}
	case <-time.After(devReady):
		ts.Fatalf("dyno dev is not ready after %v", devReady)
	}
	var endpoints []string
	for _, n := range told.Nodes {
		ts.Setenv(n.Name, n.Client)
		ts.Setenv(n.Name+"_admin", n.Admin)
		endpoints = append(endpoints, n.Client)
	}
	ts.Setenv("DYNO_ENDPOINTS", strings.Join(endpoints, ","))
	ts.Setenv("DEV_DIR", told.Dir)
	ts.Setenv("DEV_PID", strconv.Itoa(p.cmd.Process.Pid))
	all.mu.Lock()
	defer all.mu.Unlock()
	all.running[args[0]] = p
}

// cmdDevEnd interrupts a cluster, which must end with 0; its standard error goes to the
// file dev.stderr.
func cmdDevEnd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: devend NAME")
	}
	all := ts.Value(clustersKey{}).(*clusters)
	all.mu.Lock()
	p := all.running[args[0]]
	all.mu.Unlock()
	if p == nil {
		ts.Fatalf("no cluster %q", args[0])
	}
	code := p.end(os.Interrupt)
	ts.Check(os.WriteFile(ts.MkAbs("dev.stderr"), p.errs.Bytes(), 0o644))
	if code != 0 {
		ts.Fatalf("dyno dev ended with %d, want 0: %s", code, p.errs.String())
	}
}

// cmdCode runs a command that must end with a code: code 3 dyno kv get nothing.
func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitOf(ts, args[1:]); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func exitOf(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	default:
		ts.Fatalf("%v", err)
		return -1
	}
}

// cmdEventually runs a command until it ends with 0, and its output matches, if a
// pattern is given: eventually /PATTERN/ dyno cluster status. -within 5m waits longer than
// patience.
func cmdEventually(ts *testscript.TestScript, neg bool, args []string) {
	patience := patience
	if len(args) > 2 && args[0] == "-within" {
		longer, err := time.ParseDuration(args[1])
		ts.Check(err)
		patience, args = longer, args[2:]
	}
	if neg || len(args) < 1 {
		ts.Fatalf("usage: eventually [-within TIME] [/PATTERN/] COMMAND ARGS...")
	}
	pattern := regexp.MustCompile("")
	if p := args[0]; strings.HasPrefix(p, "/") && strings.HasSuffix(p, "/") {
		pattern, args = regexp.MustCompile("(?m)"+p[1:len(p)-1]), args[1:]
	}
	for until := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if exitOf(ts, args) == 0 && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(until) {
			ts.Fatalf("not within %v", patience)
		}
	}
}

// cmdCapture sets a variable to what a pattern's group matches in the last output:
// capture CONTEXT 'context: (.*)'.
func cmdCapture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture VARIABLE PATTERN")
	}
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("no match for %q", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// cmdMakeTree makes a directory tree with every kind of content: mktree DIR FILES.
func cmdMakeTree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mktree DIR FILES")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	for i := range n {
		name := filepath.Join(ts.MkAbs(args[0]), fmt.Sprintf("d%d/ä %d", i%5, i%3),
			fmt.Sprintf("file-%d.bin", i))
		ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
		content := make([]byte, i*i*7%20_000) // the first is empty
		for j := range content {
			content[j] = byte(j*i + j>>8)
		}
		ts.Check(os.WriteFile(name, content, 0o644))
	}
}

// cmdSameTree compares two trees byte for byte: sametree A B.
func cmdSameTree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sametree A B")
	}
	a, b := readTree(ts, args[0]), readTree(ts, args[1])
	for name, content := range a {
		if other, found := b[name]; !found {
			ts.Fatalf("%s is only in %s", name, args[0])
		} else if other != content {
			ts.Fatalf("%s differs", name)
		}
	}
	if len(a) != len(b) {
		ts.Fatalf("%d files in %s, %d in %s", len(a), args[0], len(b), args[1])
	}
}

func readTree(ts *testscript.TestScript, dir string) map[string]string {
	all, dir := make(map[string]string), ts.MkAbs(dir)
	ts.Check(filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, dir)] = string(content)
		return err
	}))
	return all
}

// cmdOccupy listens on a port, and sets a variable to the address: occupy VARIABLE.
func cmdOccupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: occupy VARIABLE")
	}
	ln, err := net.Listen("tcp", freeAddress(ts))
	ts.Check(err)
	ts.Defer(func() { _ = ln.Close() })
	ts.Setenv(args[0], ln.Addr().String())
}

// cmdFreePort sets a variable to an address that nobody listens on: freeport VARIABLE.
func cmdFreePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport VARIABLE")
	}
	ts.Setenv(args[0], freeAddress(ts))
}

// freeAddress finds room for a cluster of three nodes below the ports that the kernel
// gives to outgoing connections: those may be taken before the cluster listens.
func freeAddress(ts *testscript.TestScript) string {
	const lowest, highest, stride, tries = 10_000, 32_000, 30, 200
	for range tries {
		base := lowest + rand.IntN((highest-lowest)/stride)*stride
		if portsFree(base, stride) {
			return net.JoinHostPort("127.0.0.1", strconv.Itoa(base))
		}
	}
	ts.Fatalf("no free ports")
	return ""
}

func portsFree(base, n int) bool {
	for port := base; port < base+n; port++ {
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil || ln.Close() != nil {
			return false
		}
	}
	return true
}

// cmdDynoIn runs dyno with a file as standard input: dynoin FILE ARGS...
func cmdDynoIn(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: dynoin FILE ARGS...")
	}
	binary := filepath.Join(strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator))[0], "dyno")
	cmd := exec.Command(binary, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"DYNO_ENDPOINTS=" + ts.Getenv("DYNO_ENDPOINTS")}
	cmd.Stdin = strings.NewReader(ts.ReadFile(args[0]))
	out, err := cmd.CombinedOutput()
	ts.Logf("%s", out)
	if (err != nil) != neg {
		ts.Fatalf("dyno: %v", err)
	}
}

// cmdBigFile makes a file of a size: bigfile FILE BYTES.
func cmdBigFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bigfile FILE BYTES")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.Repeat([]byte("x"), n), 0o644))
}
