// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is far beyond what anything here takes.
const patience = 10 * time.Second

// port is a server that runs.
type port struct {
	t      *testing.T
	addr   string
	client *http.Client
	checks atomic.Pointer[[]Check]
	stop   context.CancelFunc
	ended  chan error
}

func open(t *testing.T, change func(*Config)) *port {
	t.Helper()
	cfg := DefaultConfig()
	cfg.EndTimeout = 50 * time.Millisecond
	if change != nil {
		change(&cfg)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &port{
		t: t, addr: ln.Addr().String(), ended: make(chan error, 1),
		client: &http.Client{Transport: &http.Transport{}, Timeout: patience},
	}
	p.checks.Store(&[]Check{{Name: "store"}, {Name: "confirmed"}})
	s, err := New(cfg, Parts{
		Ready: func() []Check { return *p.checks.Load() },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			say(w, "dyno_some_metric 1\n")
		}),
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(t.Context())
	go func() { p.ended <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		p.client.CloseIdleConnections()
		p.end()
	})
	return p
}

// end stops the server and waits for it.
func (p *port) end() {
	p.stop()
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("Serve: %v", err)
		}
		p.ended <- nil
	case <-time.After(patience):
		p.t.Fatal("Serve does not end")
	}
}

func (p *port) ask(method, path string) (status int, body string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, "http://"+p.addr+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := p.client.Do(req)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer.StatusCode, string(b)
}

func (p *port) dial() net.Conn {
	p.t.Helper()
	c, err := net.DialTimeout("tcp", p.addr, patience)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	return c
}

func TestWhatIsAnswered(t *testing.T) {
	p := open(t, nil)
	for _, c := range []struct {
		method, path string
		status       int
		has          string
	}{
		{"GET", "/livez", 200, "ok\n"},
		{"GET", "/readyz", 200, "ready\n"},
		{"GET", "/readyz?verbose", 200, "[+] store\n[+] confirmed\nready\n"},
		{"GET", "/metrics", 200, "dyno_some_metric 1\n"},
		{"GET", "/debug/pprof/", 200, "goroutine"},
		{"GET", "/debug/pprof/goroutine?debug=1", 200, "goroutine profile"},
		{"HEAD", "/livez", 200, ""},
		{"GET", "/", 404, nothingHere},
		{"GET", "/elsewhere", 404, nothingHere},
		{"GET", "/debug/vars", 404, nothingHere},
		{"POST", "/livez", 405, "Only GET"},
		{"POST", "/debug/pprof/symbol", 405, "Only GET"},
		{"GET", "/debug/pprof/profile?seconds=121", 400, "more than 2m0s"},
		{"GET", "/debug/pprof/trace?seconds=NaN", 400, "more than 2m0s"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			status, body := p.ask(c.method, c.path)
			if status != c.status || !strings.Contains(body, c.has) {
				t.Errorf("%d %q, want %d with %q", status, body, c.status, c.has)
			}
		})
	}
}

func TestWhoIsNotReadySaysWhy(t *testing.T) {
	p := open(t, nil)
	p.checks.Store(&[]Check{{Name: "formed"}, {Name: "store", Fault: "an older\ncopy"}})
	for _, c := range []struct{ path, want string }{
		{"/readyz", "[-] store: an older; copy\nnot ready\n"},
		{"/readyz?verbose", "[+] formed\n[-] store: an older; copy\nnot ready\n"},
	} {
		if status, body := p.ask("GET", c.path); status != 503 || body != c.want {
			t.Errorf("%s: %d %q, want 503 %q", c.path, status, body, c.want)
		}
	}
	if status, _ := p.ask("GET", "/livez"); status != 200 {
		t.Errorf("who is not ready does not live: %d", status)
	}
}

// closed waits until the other side has closed a connection.
func closed(t *testing.T, c net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("the connection stays open")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	p := open(t, func(c *Config) { c.Conns = 2 })
	first := p.dial()
	p.dial()
	closed(t, p.dial())
	_ = first.Close()
	for deadline := time.Now().Add(patience); ; {
		c := p.dial()
		if _, err := io.WriteString(c, "GET /livez HTTP/1.0\r\n\r\n"); err == nil {
			if line, err := bufio.NewReader(c).ReadString('\n'); err == nil {
				if !strings.Contains(line, "200") {
					t.Errorf("answered %q", line)
				}
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("a connection that was closed leaves no room")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestASlowOrLongHeadIsCutOff(t *testing.T) {
	p := open(t, func(c *Config) { c.HeadTimeout, c.MaxHead = 50*time.Millisecond, 1000 })
	slow := p.dial()
	if _, err := io.WriteString(slow, "GET /livez HT"); err != nil {
		t.Fatal(err)
	}
	closed(t, slow)
	long := p.dial()
	// The library reads 4 KiB beyond the bound.
	if _, err := io.WriteString(long, "GET /livez HTTP/1.1\r\nX: "+strings.Repeat("x", 8000)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(long).ReadString('\n')
	if err != nil || !strings.Contains(line, "431") {
		t.Errorf("a long head: %q, %v", line, err)
	}
}

// A profile that runs ends with the node, and is waited for (I4).
func TestAProfileDoesNotHoldUpTheEnd(t *testing.T) {
	p := open(t, nil)
	c := p.dial()
	_, err := io.WriteString(c, "GET /debug/pprof/trace?seconds=60 HTTP/1.1\r\nHost: x\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("no profile: %q, %v", line, err)
	}
	began := time.Now()
	p.end()
	if took := time.Since(began); took > patience {
		t.Errorf("the end took %v", took)
	}
}

func TestAPortThatIsTakenAwayIsAFault(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(DefaultConfig(), Parts{Ready: func() []Check { return nil }}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if err := s.Serve(t.Context(), ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve on a closed port: %v", err)
	}
}

func TestFaultsOfAConfigAreAllTold(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	for _, bad := range []func(*Config){
		func(c *Config) { c.HeadTimeout = 0 }, func(c *Config) { c.AnswerTimeout = 0 },
		func(c *Config) { c.IdleTimeout = 0 }, func(c *Config) { c.EndTimeout = 0 },
		func(c *Config) { c.ProfileTimeout = c.AnswerTimeout - 1 },
		func(c *Config) { c.MaxHead = 0 }, func(c *Config) { c.Conns = 0 },
	} {
		cfg := DefaultConfig()
		bad(&cfg)
		if _, err := New(cfg, Parts{}, zap.NewNop()); err == nil {
			t.Errorf("accepted: %+v", cfg)
		}
	}
}
