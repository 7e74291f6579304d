// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

func TestReadsInFullAndAsDigest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		want := l.put("k", "value", vclock.Context{}).Object
		full := l.read("k")
		if got := full.Object; got.Digest() != want.Digest() || !got.HasValues() {
			t.Errorf("read %+v", got)
		}
		if o, err := wire.DecodeObject(full.Raw); err != nil || o.Digest() != want.Digest() {
			t.Errorf("Raw is not the object's encoding: %v", err)
		}
		for _, key := range []string{"k", "none"} {
			bare := l.Read(&wire.ReadRequest{Target: l.target(key), Mode: wire.ReadBare})
			if bare.Code != wire.ReplicaOK || bare.Raw != nil {
				t.Errorf("digest of %s: code %d, %d raw bytes", key, bare.Code, len(bare.Raw))
			}
			if key == "k" && (bare.Object.Digest() != want.Digest() || bare.Object.HasValues()) {
				t.Errorf("digest %+v", bare.Object)
			}
			if key == "none" && !bare.Object.IsZero() {
				t.Errorf("a key that was never written: %+v", bare.Object)
			}
		}
	})
}

func TestRepliesStateWhatHoldsWhenTheyAreMade(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := begin(t, setup{past: Past{Stop: StopKilled}, verdict: kv.VerdictUnknown})
		want := wire.Standing{Role: kv.RoleOwner, Placement: 5, Instance: instance}
		if diff := cmp.Diff(want, l.read("k").Standing); diff != "" {
			t.Errorf("unconfirmed:\n%s", diff)
		}
		l.Confirm(kv.VerdictConfirmed)
		l.purgedTo(l.target("k").Partition, 2)
		want.Confirmed, want.Epoch = true, 2
		if diff := cmp.Diff(want, l.read("k").Standing); diff != "" {
			t.Errorf("confirmed:\n%s", diff)
		}
		old := l.target("k")
		l.ring.Store(moving(t, l, kv.Slot{Owner: self, Next: 9, Phase: kv.PhaseWriteBothReadOld}))
		want.Placement = 6
		reply := l.Read(&wire.ReadRequest{Target: old, Mode: wire.ReadFull})
		if diff := cmp.Diff(want, reply.Standing); diff != "" || reply.Code != wire.ReplicaOK {
			t.Errorf("an older placement, code %d:\n%s", reply.Code, diff)
		}
	})
}

func TestReadRefusals(t *testing.T) {
	cases := []struct {
		name   string
		change func(*life, *wire.Target)
		role   kv.Role
	}{
		{"no ring yet", func(l *life, _ *wire.Target) { l.ring.Store(nil) }, kv.RoleNotReady},
		{"another instance", func(_ *life, r *wire.Target) { r.Instance++ }, kv.RoleOwner},
		{"a placement that is not known here", func(_ *life, r *wire.Target) { r.Placement++ },
			kv.RoleOwner},
		{"a partition that the key is not in", func(_ *life, r *wire.Target) {
			r.Partition = (r.Partition + 1) % partitions
		}, kv.RoleOwner},
		{"below the fence", func(l *life, r *wire.Target) {
			l.parts[r.Partition].fence.Store(6)
		}, kv.RoleOwner},
		{"a partition that there is not", func(_ *life, r *wire.Target) {
			r.Partition = partitions
		}, kv.RoleNotOwner},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := fresh(t)
				at := l.target("k")
				c.change(l, &at)
				r := l.Read(&wire.ReadRequest{Target: at, Mode: wire.ReadFull})
				if r.Code != wire.ReplicaRefused || r.Role != c.role || r.Detail == "" {
					t.Errorf("read: code %d, role %v, %q", r.Code, r.Role, r.Detail)
				}
				if c.name == "a partition that the key is not in" {
					return // of a scan, the key is only where it goes on
				}
				s := l.Scan(&wire.ScanRequest{Target: at, Limit: 1, Bytes: 1})
				if s.Code != wire.ReplicaRefused || s.Role != c.role {
					t.Errorf("scan: code %d, role %v, %q", s.Code, s.Role, s.Detail)
				}
			})
		})
	}
}

func TestScanPagesAreBoundedAndGoOnWhereTheLastEnded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		var want []string
		for i := range 40 {
			key := fmt.Sprintf("key-%02d", i)
			l.put(key, "value", vclock.Context{})
			if l.target(key).Partition == l.target("key-00").Partition {
				want = append(want, key)
			}
		}
		for _, mode := range []wire.ReadMode{wire.ReadFull, wire.ReadBare} {
			for _, bound := range []struct{ limit, bytes uint32 }{{3, 1 << 20}, {100, 1}, {0, 1 << 20}} {
				at := l.target("key-00")
				at.Key = nil
				var got []string
				for more := true; more && len(got) <= len(want); {
					r := l.Scan(&wire.ScanRequest{
						Target: at, Prefix: []byte("key-"), Limit: bound.limit, Bytes: bound.bytes, Mode: mode,
					})
					if r.Code != wire.ReplicaOK || len(r.Entries) == 0 && r.More {
						t.Fatalf("%+v: code %d, %d entries", bound, r.Code, len(r.Entries))
					}
					if len(r.Entries) > max(1, int(bound.limit)) {
						t.Fatalf("%+v: %d entries", bound, len(r.Entries))
					}
					for _, e := range r.Entries {
						got = append(got, string(e.Key))
						at.Key = e.Key
						if e.Object.HasValues() != (mode == wire.ReadFull) || (e.Raw != nil) != (mode == wire.ReadFull) {
							t.Errorf("mode %d: %+v", mode, e)
						}
					}
					more = r.More
				}
				if !cmp.Equal(got, want) {
					t.Errorf("%+v: %q, want %q", bound, got, want)
				}
			}
		}
	})
}
