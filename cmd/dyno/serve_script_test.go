// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// serveCommands are what scripts know about single nodes.
func serveCommands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"serve":      cmdServe,
		"serveready": cmdServeReady,
		"serveend":   cmdServeEnd,
		"servekill":  cmdServeKill,
		"ports":      cmdPorts,

		"readmeserve": cmdReadmeServe,
	}
}

// cmdServe starts a node and does not wait: serve NAME [flags]. The name is also that of
// its directory, unless the flags say otherwise.
func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: serve NAME [flags]")
	}
	all := ts.Value(clustersKey{}).(*clusters)
	flags := []string{
		"serve", "-o", "json", "--disk-reserve", "0", "--name", args[0], "--data-dir", args[0],
	}
	flags = append(flags, args[1:]...)
	path := ts.Getenv("PATH")
	binary := filepath.Join(strings.Split(path, string(os.PathListSeparator))[0], "dyno")
	p := &devProcess{
		cmd: exec.Command(binary, flags...), ended: make(chan struct{}),
		ready: make(chan struct{}),
	}
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = []string{"PATH=" + path, "HOME=" + ts.Getenv("HOME"), "GORACE=" + ts.Getenv("GORACE")}
	p.cmd.Stderr = &p.errs
	out, err := p.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(p.cmd.Start())
	go func() {
		defer close(p.ended)
		if line, _ := bufio.NewReader(out).ReadBytes('\n'); len(line) > 0 {
			close(p.ready)
		}
		_ = p.cmd.Wait() // the exit code tells
	}()
	ts.Defer(func() { p.end(syscall.SIGKILL) })
	ts.Setenv(args[0]+"_PID", strconv.Itoa(p.cmd.Process.Pid))
	all.mu.Lock()
	defer all.mu.Unlock()
	all.running[args[0]] = p
}

// cmdServeReady waits until nodes serve: serveready NAME...
func cmdServeReady(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		p := findProcess(ts, name)
		select {
		case <-p.ready:
		case <-p.ended:
			ts.Fatalf("%s ended: %s", name, p.errs.String())
		case <-time.After(devReady):
			ts.Fatalf("%s is not ready after %v", name, devReady)
		}
	}
}

// cmdServeEnd tells nodes to stop, which must end with 0: serveend NAME... The standard
// error of each goes to the file NAME.stderr.
func cmdServeEnd(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		p := findProcess(ts, name)
		code := p.end(syscall.SIGTERM)
		ts.Check(os.WriteFile(ts.MkAbs(name+".stderr"), p.errs.Bytes(), 0o644))
		if code != 0 {
			ts.Fatalf("%s ended with %d, want 0: %s", name, code, p.errs.String())
		}
	}
}

// cmdServeKill kills nodes at once: servekill NAME...
func cmdServeKill(ts *testscript.TestScript, neg bool, args []string) {
	var killed []*devProcess
	for _, name := range args {
		p := findProcess(ts, name)
		_ = p.cmd.Process.Kill() // it may have ended by itself
		killed = append(killed, p)
	}
	for _, p := range killed {
		<-p.ended
	}
}

func findProcess(ts *testscript.TestScript, name string) *devProcess {
	all := ts.Value(clustersKey{}).(*clusters)
	all.mu.Lock()
	defer all.mu.Unlock()
	p := all.running[name]
	if p == nil {
		ts.Fatalf("no node %q", name)
	}
	return p
}

// cmdPorts finds free addresses for nodes, ten ports apart, and sets a variable to each, one
// to that of its admin port, A_admin, and one to a port that is left over, A_free: ports A B C.
func cmdPorts(ts *testscript.TestScript, neg bool, args []string) {
	host, text, err := net.SplitHostPort(freeAddress(ts))
	ts.Check(err)
	base, err := strconv.Atoi(text)
	ts.Check(err)
	const room = 3 // freeAddress finds room for so many
	if neg || len(args) == 0 || len(args) > room {
		ts.Fatalf("usage: ports A [B [C]]")
	}
	for i, name := range args {
		ts.Setenv(name, net.JoinHostPort(host, strconv.Itoa(base+10*i)))
		ts.Setenv(name+"_admin", net.JoinHostPort(host, strconv.Itoa(base+10*i+3)))
		ts.Setenv(name+"_free", strconv.Itoa(base+10*i+9)) // a port that nobody takes
	}
}
