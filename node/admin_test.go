// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

// web asks the admin port of m.
func (m *member) web(path string) (status int, body string) {
	m.rig.t.Helper()
	dial := m.rig.net.Dialer("10.9.9.8")
	tr := &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return dial(ctx, addr)
		},
		DisableKeepAlives: true,
	}
	defer tr.CloseIdleConnections()
	answer, err := (&http.Client{Transport: tr, Timeout: time.Minute}).Get("http://" + m.Admin + path)
	must(m.rig.t, err)
	b, err := io.ReadAll(answer.Body)
	must(m.rig.t, err)
	must(m.rig.t, answer.Body.Close())
	return answer.StatusCode, string(b)
}

// healthy is what `dyno health --ready` goes by: what a node says of itself.
func (m *member) healthy() (bool, string) {
	m.rig.t.Helper()
	for _, own := range m.life.node.cluster.Status().Members {
		if own.Name == m.Name {
			return own.Ready && own.Confirmed, own.Reason
		}
	}
	m.rig.t.Fatalf("%s does not know itself", m.Name)
	return false, ""
}

// agree demands that both ways to ask whether m is ready say the same, and what.
func (m *member) agree(ready bool, reason string) {
	m.rig.t.Helper()
	status, body := m.web("/readyz")
	healthy, why := m.healthy()
	switch {
	case healthy != ready || !strings.Contains(why, reason):
		m.rig.t.Errorf("health says %v, %q; want %v, %q", healthy, why, ready, reason)
	case (status == http.StatusOK) != ready || !strings.Contains(body, reason):
		m.rig.t.Errorf("/readyz says %d, %q; want %v, %q", status, body, ready, reason)
	}
}

func TestReadyzSaysWhatTheNodeSaysOfItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		m := r.members[0]
		r.group.become(groupFails)
		m.start()
		m.agree(false, "") // a store that was never confirmed
		r.group.become(groupAnswers)
		r.members[1].start()
		r.members[2].start()
		r.awaitReady()
		m.agree(true, "")
		must(t, m.stop())

		r.group.become(groupFails)
		m.start() // its store serves, and does not count for strict requests
		eventually(t, time.Minute, "it serves", func() bool { return m.life.node.Status().Ready })
		m.agree(false, m.life.node.Status().Reason)
		r.group.become(groupAnswers)
		r.awaitReady()
		m.agree(true, "")

		m.life.node.draining.Store(true) // as drain does first
		m.agree(false, "draining")
	})
}

// A node tells what stays behind at itself, and does not guess at others.
func TestWorkIsToldByTheNodeThatHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.startAll()
		must(t, r.members[2].stop())
		s := r.members[0].client()
		eventually(t, time.Minute, "n3 seems down", func() bool {
			got, err := s.status()
			return err == nil && got.Members[2].State == wire.StateDown
		})
		must(t, s.put(wire.PutRequest{Key: []byte("k"), Value: []byte("v")}))
		eventually(t, time.Minute, "n1 says that it keeps a marker", func() bool {
			got, err := s.status()
			must(t, err)
			w := got.Members[0].Work
			return w != nil && w.Counted && w.Markers == 1 && w.Trees.Owned == 16
		})
		got, err := s.status()
		must(t, err)
		if got.Members[1].Work != nil || got.Members[2].Work != nil {
			t.Errorf("n1 tells of others: %+v", got.Members)
		}
		r.members[2].start()
		eventually(t, time.Minute, "nothing is kept any more", func() bool {
			got, err := s.status()
			return err == nil && got.Members[0].Work.Markers == 0
		})
	})
}

// The port is served until the drain is over, and given back after it.
func TestTheDrainCanBeWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.startAll()
		m := r.members[0]
		s := m.client()
		r.net.Cut(m.host, r.members[2].host)
		must(t, s.put(wire.PutRequest{Key: []byte("k"), Value: []byte("v")})) // n3 has not answered
		life := m.life
		m.life = nil
		life.stop()
		synctest.Wait()
		if status, body := m.web("/readyz"); status != 503 || !strings.Contains(body, "draining") {
			t.Errorf("during the drain: %d, %q", status, body)
		}
		if status, _ := m.web("/livez"); status != 200 {
			t.Errorf("during the drain it does not live: %d", status)
		}
		select {
		case err := <-life.ended:
			t.Fatalf("the drain is over before it was watched: %v", err)
		default:
		}
		must(t, <-life.ended)
		if c, err := r.net.Dialer("10.9.9.8")(t.Context(), m.Admin); err == nil {
			_ = c.Close()
			t.Error("a node that has ended answers")
		}
	})
}
