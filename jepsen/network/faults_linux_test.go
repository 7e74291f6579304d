// SPDX-License-Identifier: Apache-2.0

package network

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// datagrams sends some from the first client to the first node, one after the other, and
// returns how many arrive until none has for a while.
func datagrams(t *testing.T, n *spaces, count int) (arrived int) {
	t.Helper()
	open := func(host int) (c *net.UDPConn) {
		if err := n.spaces[host].do(func() (err error) {
			c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: n.Addr(host).AsSlice(), Port: 4612})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	from, to := open(n.Client(0)), open(0)
	defer from.Close()
	defer to.Close()
	// By default a burst would not fit while this test does not read.
	if err := to.SetReadBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range count {
			_, _ = from.WriteTo([]byte("datagram"), to.LocalAddr())
			time.Sleep(100 * time.Microsecond)
		}
	}()
	for b := make([]byte, 100); ; {
		last := false
		select {
		case <-sent:
			last = true
		default:
		}
		if err := to.SetReadDeadline(time.Now().Add(150 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		switch got, err := to.Read(b); {
		case err == nil && string(b[:got]) == "datagram":
			arrived++
		case err == nil:
			t.Errorf("%q arrived", b[:got])
		case last:
			return arrived
		}
	}
}

// udpChecksumErrors is how many datagrams a host has dropped for their checksum.
func udpChecksumErrors(t *testing.T, s *space) (value int) {
	t.Helper()
	if err := s.do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		var names, values []string
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); f[0] == "Udp:" {
				names, values = values, f
			}
		}
		for i, name := range names {
			if name == "InCsumErrors" {
				value, err = strconv.Atoi(values[i])
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestFaultsMeetDatagrams(t *testing.T) {
	const count = 200
	cases := []struct {
		name     string
		rule     Rule
		min, max int
	}{
		{"healthy", Rule{}, count, count},
		{"all lost", Rule{Loss: 1}, 0, 0},
		{"half lost", Rule{Loss: 0.5}, count / 4, count * 3 / 4},
		{"all twice", Rule{Duplicate: 1}, 2 * count, 2 * count},
		{"reordered", Rule{Reorder: 0.3}, count, count},
		{"corrupted", Rule{Corrupt: 1}, 0, 0}, // the kernel sees the wrong checksum
	}
	eachMode(t, func(t *testing.T, mode Mode) {
		n := testNetwork(t, mode, 1, 1)
		for _, test := range cases {
			set(t, n, 1, 0, test.rule)
			before := n.Counts(1, 0)
			got := datagrams(t, n, count)
			counts := n.Counts(1, 0).Minus(before)
			if got < test.min || got > test.max {
				t.Errorf("%s: %d of %d datagrams arrive, must be %d to %d; %+v",
					test.name, got, count, test.min, test.max, counts)
			}
			if bit := counts.Bites() > 0; bit == test.rule.Healthy() {
				t.Errorf("%s: counts are %+v", test.name, counts)
			}
		}
		// The rest have a wrong length, which is seen before the checksum is looked at.
		if got := udpChecksumErrors(t, n.spaces[0]); got < count/2 || got > count {
			t.Errorf("the host saw %d wrong checksums of %d", got, count)
		}
	})
}

func TestARateSlowsAConnection(t *testing.T) {
	n := testNetwork(t, ModeSwitch, 1, 1)
	client, server := connect(t, n)
	const rate, size = 200_000, 100_000
	set(t, n, 1, 0, Rule{Rate: rate})
	began := time.Now()
	go func() { _, _ = client.Write(make([]byte, size)) }() // ends with the connection
	if err := server.SetReadDeadline(began.Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	for got := 0; got < size; {
		k, err := server.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got += k
	}
	// Headers take their part: never sooner.
	if took := time.Since(began); took < size*time.Second/rate {
		t.Errorf("%d bytes took %v at %d a second", size, took, rate)
	}
}

func TestProcessesRunInTheNetworkOfTheirHost(t *testing.T) {
	if os.Getenv(roleVariable) == roleProcess {
		at, err := net.InterfaceAddrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range at {
			_, _ = os.Stderr.WriteString(a.String() + "\n")
		}
		return
	}
	n := testNetwork(t, ModeSwitch, 2, 0)
	var told strings.Builder
	cmd := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), roleVariable+"="+roleProcess)
	cmd.Stderr = &told
	if err := n.Start(1, cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, told.String())
	}
	if !strings.Contains(told.String(), "10.79.0.2/16") {
		t.Errorf("the process finds itself at %s", told.String())
	}
	if err := n.Start(2, exec.Command("/proc/self/exe")); err == nil {
		t.Error("a process was started at a host that is not there")
	}
}

const (
	roleVariable = "DYNO_NETWORK_TEST"
	roleProcess  = "process"
	roleUser     = "user"
)

// A user who is not root, and may not open /dev/net/tun, has a switch in a user namespace.
func TestUsersHaveASwitchInAUserNamespace(t *testing.T) {
	if os.Getenv(roleVariable) == roleUser {
		n, err := New(t.Context(), Config{Hosts: 2, Clients: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		c := dial(t, n, 0, serve(t, n.(*spaces), 1))
		if _, err := roundTrip(c, 5*time.Second); err != nil {
			t.Error(err)
		}
		_, _ = os.Stderr.WriteString("mode " + string(n.Mode()))
		return
	}
	testNetwork(t, ModeSwitch, 1, 0) // root, so that it can be somebody else
	var told strings.Builder
	cmd := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), roleVariable+"="+roleUser)
	cmd.Stderr = &told
	id := []syscall.SysProcIDMap{{HostID: 65534, Size: 1}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: id, GidMappings: id, Credential: &syscall.Credential{NoSetGroups: true},
	}
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, told.String())
	}
	want := string(ModeVeth)
	if info, err := os.Stat("/dev/net/tun"); err == nil && info.Mode()&6 == 6 {
		want = string(ModeSwitch)
	}
	if !strings.Contains(told.String(), "mode "+want) {
		t.Errorf("the user has %s, must have %s", told.String(), want)
	}
}
