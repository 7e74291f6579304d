// SPDX-License-Identifier: Apache-2.0

package real

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dyno-kv/dyno/jepsen/network"
	"github.com/dyno-kv/dyno/jepsen/sandbox"
)

const killedVariable = "DYNO_REAL_TEST_KILLED"

// A rig in a sandbox, with a network and a process in it, is killed; nothing is left.
func TestNothingIsLeftOfANetworkWhenItsRigIsKilled(t *testing.T) {
	killed(t, rig, func(*testing.T) {}, 3) // the rig's own network and those of hosts
}

// killed kills a rig, which is this test again, that starts a process, which is it as well.
// The rig is to have so many networks.
func killed(t *testing.T, rig func(*testing.T, string), process func(*testing.T), want int) {
	token, role, _ := strings.Cut(os.Getenv(killedVariable), "/")
	switch role {
	case "rig":
		rig(t, token)
		return
	case "process":
		process(t)
		time.Sleep(time.Hour)
		return
	}
	token = fmt.Sprintf("test-%d-%d", os.Getpid(), time.Now().UnixNano())
	cmd := again(t.Name(), token+"/rig")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "rig: ") {
	}
	told := strings.TrimPrefix(lines.Text(), "rig: ")
	pids := marked(token)
	spaces := networks(t, pids)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if told != "ready" {
		if os.Getenv("DYNO_RIG") == "require" {
			t.Fatalf("DYNO_RIG=require: the rig said %q", told)
		}
		t.Skip(told)
	}
	// The outer one, the inner one and the process.
	if len(pids) != 3 || len(spaces) < want {
		t.Errorf("the rig had processes %v and networks %v", pids, spaces)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left, users := append(marked(token), threads(pids)...), []string{}
		for _, s := range networks(t, processes()) {
			if slices.Contains(spaces, s) {
				users = append(users, s)
			}
		}
		if len(left)+len(users) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left are processes %v and networks %v", left, users)
		}
	}
}

func again(test, role string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "-test.run", "^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), killedVariable+"="+role)
	return cmd
}

func rig(t *testing.T, token string) {
	status, err := sandbox.Enter()
	if err != nil || !status.Inside {
		fmt.Printf("rig: no sandbox: %+v, %v\n", status, err)
		return
	}
	n, err := network.New(t.Context(), network.Config{Hosts: 2, Clients: 1})
	if err != nil {
		fmt.Printf("rig: no network: %v\n", err)
		return
	}
	cmd := again(t.Name(), token+"/process")
	if err := n.Start(1, cmd); err != nil {
		fmt.Printf("rig: no process: %v\n", err)
		return
	}
	fmt.Println("rig: ready")
	_ = cmd.Wait()
}

func processes() (dirs []string) {
	dirs, _ = filepath.Glob("/proc/[0-9]*") // the pattern is a right one
	return dirs
}

// marked are the processes that have the token in their environment. Dead ones have none.
func marked(token string) (dirs []string) {
	for _, dir := range processes() {
		environ, err := os.ReadFile(dir + "/environ")
		if err == nil && strings.Contains(string(environ), token) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// threads are those of processes that have not ended: a process may wait for one when it has
// neither memory nor files any more.
func threads(dirs []string) (left []string) {
	for _, dir := range dirs {
		all, _ := filepath.Glob(dir + "/task/*/stat") // none: it is gone
		for _, thread := range all {
			stat, err := os.ReadFile(thread)
			if err == nil && !strings.Contains(string(stat), ") Z ") {
				left = append(left, thread)
			}
		}
	}
	return left
}

// networks are the network namespaces that processes are in or keep open, but the test's own.
func networks(t *testing.T, dirs []string) (spaces []string) {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		open, _ := filepath.Glob(dir + "/fd/*") // none: it is gone
		for _, link := range append(open, dir+"/ns/net") {
			s, err := os.Readlink(link)
			if err == nil && strings.HasPrefix(s, "net:[") && s != own && !slices.Contains(spaces, s) {
				spaces = append(spaces, s)
			}
		}
	}
	return spaces
}
