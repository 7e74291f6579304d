// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestCallsOverARealSocket(t *testing.T) {
	c := startTCP(t, func(ctx context.Context, call *Call) {
		if string(call.Method) == "async" {
			go echo(ctx, call)
			return
		}
		echo(ctx, call)
	})
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for j := range 200 {
				method := "inline"
				if j%3 == 0 {
					method = "async"
				}
				want := fmt.Sprintf("%d/%d/%s", i, j, make([]byte, j*7))
				got, err := c.Call(t.Context(), method, text(want))
				if err != nil || string(got) != string(text(want)(nil)) {
					t.Errorf("%d bytes, %v", len(got), err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// The promise is 5 allocations for both sides of a call.
func TestACallAllocatesLittle(t *testing.T) {
	c := startTCP(t, echo)
	params := value()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	call := func() {
		_, err := c.Call(ctx, "echo", func(dst []byte) []byte { return append(dst, params...) })
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 { // warm
		call()
	}
	if allocs := testing.AllocsPerRun(2000, call); allocs > 5 {
		t.Errorf("%v allocations per call", allocs)
	}
}

// tlsConfigs makes a certificate for "node" and the two ends that trust it.
func tlsConfigs(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "node"},
		DNSNames:     []string{"node"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	pair := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool,
			ClientAuth: tls.RequireAndVerifyClientCert},
		&tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: "node"}
}

func TestPeersSpeakTLSAndNothingElseWhereItIsOn(t *testing.T) {
	serverTLS, clientTLS := tlsConfigs(t)
	cfg := DefaultPeerServerConfig()
	cfg.TLS = serverTLS
	srv, err := NewServer(cfg, serveHello(3), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		if err := srv.Serve(ctx, ln); err != nil {
			t.Error(err)
		}
	})
	var d net.Dialer
	pcfg := DefaultPeerConfig()
	pcfg.Addr = ln.Addr().String()
	pcfg.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", addr)
	}
	pcfg.Hello = testHello{Versions{1, 3}}
	pcfg.TLS = clientTLS
	p, err := NewPeer(pcfg, mrand.New(mrand.NewPCG(1, 1)), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(func() { _ = p.Run(ctx) })
	for deadline := time.Now().Add(10 * time.Second); !p.Up(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the peer does not come up")
		}
	}
	if _, err := p.Call(ctx, "echo", versioned("x")); err != nil {
		t.Error(err)
	}
	plain, stop, err := Dial(ctx, pcfg.Dial, pcfg.Addr, DefaultPeerClientConfig(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, err := plain.Call(ctx, "echo", text("x")); !errors.Is(err, ErrUnanswered) {
		t.Errorf("plain bytes on a TLS port: %v", err)
	}
}
