// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// The tests start this binary again: as a program that enters a sandbox, mounts something,
// starts a child, and waits for what is done to it.
const (
	role       = "DYNO_SANDBOX_TEST"
	roleInner  = "inner"
	roleChild  = "child"
	roleNested = "nested"

	exitCode    = 7
	exitSignal  = 9
	exitTwice   = 10 // more than one signal
	exitOutside = 11
)

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case roleInner:
		os.Exit(inner(os.Args[1]))
	case roleChild:
		time.Sleep(time.Hour)
	case roleNested:
		if status, err := Enter(); err == nil && !status.Inside && status.Lacks != "" {
			os.Exit(exitOutside)
		}
		os.Exit(exitCode)
	}
	goleak.VerifyTestMain(m)
}

// inner is the program in the sandbox. It mounts at dir, which may exist outside.
// In the outer process it returns when the other has ended.
func inner(dir string) int {
	status, err := Enter()
	if err != nil {
		fmt.Println("error", err)
		return exitOutside
	}
	if status.Ended {
		return status.ExitCode
	}
	if !status.Inside {
		fmt.Println("outside", status.Lacks)
		return exitOutside
	}
	if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
		fmt.Println("error mount", err)
		return exitOutside
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), role+"="+roleChild)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // nothing but the kernel finds it
	if err := cmd.Start(); err != nil {
		fmt.Println("error child", err)
		return exitOutside
	}
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	fmt.Printf("inside pid=%d user=%v lacks=%q\n", os.Getpid(), status.User, status.Lacks)
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	switch {
	case err != nil: // nothing to do but to wait
		<-signals
		select {
		case <-signals:
			return exitTwice
		case <-time.After(300 * time.Millisecond):
			return exitSignal
		}
	case strings.HasPrefix(line, "nested"):
		// A limit of this user namespace, not of the machine.
		if !status.User || os.WriteFile("/proc/sys/user/max_pid_namespaces", []byte("0"), 0) != nil {
			return 1
		}
		nested := exec.Command("/proc/self/exe", os.Args[1:]...)
		nested.Env = append(os.Environ(), role+"="+roleNested)
		_ = nested.Run()
		return nested.ProcessState.ExitCode()
	case strings.HasPrefix(line, "panic"):
		go panic("as the test asked for")
		select {}
	}
	return exitCode
}

// program is one that has entered a sandbox.
type program struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	dir    string // where it mounts; also what its processes are found by
	told   string
	pids   []int // of all its processes, the outer one first
	spaces []string
	ended  chan struct{}
}

// require skips a test where the rig can not run, or fails it where it must.
func require(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("DYNO_RIG") == "require" {
		t.Fatalf("DYNO_RIG=require: %s", why)
	}
	t.Skip(why)
}

// enter starts a program in a sandbox: as this user, or as nobody.
func enter(t *testing.T, nobody bool) *program {
	t.Helper()
	if nobody && os.Getuid() != 0 {
		t.Skip("only root starts programs of nobody")
	}
	p := &program{dir: t.TempDir(), ended: make(chan struct{})}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if nobody {
		binary = copyForAll(t, binary)
		p.dir = filepath.Dir(binary)
	}
	p.cmd = exec.Command(binary, p.dir)
	p.cmd.Env = append(os.Environ(), role+"="+roleInner)
	p.cmd.Stderr = nil
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	if nobody {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	p.cmd.Stdout = write
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.ended })
	if err := out.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if p.told, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("it said %q: %v", p.told, err)
	}
	if strings.HasPrefix(p.told, "outside") {
		require(t, p.told)
	}
	if !strings.HasPrefix(p.told, "inside") {
		t.Fatalf("it said %q", p.told)
	}
	p.look(t)
	return p
}

// copyForAll copies a program to where every user can run it, and mount.
func copyForAll(t *testing.T, binary string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sandbox") // others may not enter this user's TMPDIR
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	body, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "program")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(binary, body, 0o755)); err != nil {
		t.Fatal(err)
	}
	return binary
}

// look finds the program's processes and their namespaces.
func (p *program) look(t *testing.T) {
	t.Helper()
	p.pids = p.alive()
	if len(p.pids) != 3 || p.pids[0] != p.cmd.Process.Pid {
		t.Fatalf("processes %v; must be the outer %d, the inner and its child",
			p.pids, p.cmd.Process.Pid)
	}
	for _, kind := range []string{"pid", "mnt", "net"} {
		own, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			t.Fatal(err)
		}
		its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", p.pids[1], kind))
		if err != nil {
			t.Fatal(err)
		}
		if its == own {
			t.Errorf("the inner program shares %s with the test", own)
		}
		p.spaces = append(p.spaces, its)
	}
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", p.pids[1]))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mounts), " "+p.dir+" ") {
		t.Errorf("the inner program has no mount at %s", p.dir)
	}
	p.notMounted(t)
}

// gone waits until nothing of the program is left.
func (p *program) gone(t *testing.T, want int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	select {
	case <-p.ended:
	case <-time.After(time.Until(deadline)):
		t.Fatal("the outer program does not end")
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("exit code %d, must be %d", got, want)
	}
	for {
		alive, users := p.alive(), p.users()
		if len(alive)+len(users) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("left are processes %v, and namespaces %v", alive, users)
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.notMounted(t)
}

// eachUser runs a test as this user, and as one who is not root.
func eachUser(t *testing.T, f func(t *testing.T, p *program)) {
	for _, nobody := range []bool{false, true} {
		name := "this user"
		if nobody {
			name = "nobody"
		}
		t.Run(name, func(t *testing.T) { f(t, enter(t, nobody)) })
	}
}

func (p *program) tell(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func TestTheExitCodeIsThatOfTheInnerProgram(t *testing.T) {
	eachUser(t, func(t *testing.T, p *program) {
		if !strings.HasPrefix(p.told, "inside pid=1 ") || !strings.Contains(p.told, `lacks=""`) {
			t.Errorf("it said %q", p.told)
		}
		p.tell(t, "exit")
		p.gone(t, exitCode)
	})
}

func TestASignalReachesTheInnerProgramOnce(t *testing.T) {
	eachUser(t, func(t *testing.T, p *program) {
		_ = p.stdin.Close()
		// As a terminal does it: to the group, of which the inner program must not be.
		if err := unix.Kill(-p.pids[0], unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		p.gone(t, exitSignal)
	})
}

func TestNothingIsLeftOfAPanic(t *testing.T) {
	eachUser(t, func(t *testing.T, p *program) {
		p.tell(t, "panic")
		p.gone(t, 2)
	})
}

func TestNothingIsLeftWhenTheInnerProgramIsKilled(t *testing.T) {
	eachUser(t, func(t *testing.T, p *program) {
		if err := unix.Kill(p.pids[1], unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p.gone(t, 128+int(unix.SIGKILL))
	})
}

func TestNothingIsLeftWhenTheOuterProgramIsKilled(t *testing.T) {
	eachUser(t, func(t *testing.T, p *program) {
		if err := unix.Kill(p.pids[0], unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p.gone(t, -1)
	})
}

func TestAProgramWithoutNamespacesRunsOn(t *testing.T) {
	p := enter(t, true)
	p.tell(t, "nested")
	p.gone(t, exitOutside)
}

func TestAForgottenMarkerChangesNothing(t *testing.T) {
	t.Setenv(marker, markerRoot)
	before := mountsAtProc(t)
	if status, err := Enter(); err == nil || status.Inside {
		t.Errorf("%+v, %v", status, err)
	}
	if after := mountsAtProc(t); after != before {
		t.Errorf("%d mounts at /proc, there were %d", after, before)
	}
}

func mountsAtProc(t *testing.T) int {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(mounts), " /proc ")
}
