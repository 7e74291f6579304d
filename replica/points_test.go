// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"errors"
	"testing"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// pointed is a first life with failpoints.
func pointed(t *testing.T) (*life, *fail.Set) {
	points := fail.NewSet()
	keep := func([]wire.PlacementFence) error { return nil }
	return begin(t, setup{verdict: kv.VerdictConfirmed, points: points, keep: keep}), points
}

// retried puts a value twice, as one request.
func (l *life) retried(key string) (first, second MintReply) {
	req := l.putting(key, "v", vclock.Context{})
	req.Request = requestID(1)
	return l.mint(req), l.mint(req)
}

func TestEveryPointOfAReplicaIsReached(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, points := pointed(t)
		l.retried("k")
		l.copy("k", foreign(1, "x", kv.Object{}, vclock.Context{}))
		l.read("k")
		l.mark("k", 1, foreign(1, "x", kv.Object{}, vclock.Context{}).Context)
		marker := l.listed(l.cell("k", 1))[0]
		l.drop(marker, marker.Object.Context)
		if _, err := l.FenceSelf(t.Context()); err != nil {
			t.Error(err)
		}
		l.ring.Store(wideRing(t))
		l.hint(l.outer(0), 0, foreign(1, "x", kv.Object{}, vclock.Context{}))
		l.purged(l.inner(0))
		for _, p := range Points() {
			if points.Hits(p.Name) == 0 {
				t.Errorf("%s was not reached", p.Name)
			}
		}
	})
}

func TestMintThatIsToFailIssuesNoDot(t *testing.T) {
	for point, sentinel := range map[string]error{
		PointMint: ErrMayNotMint, PointIncarnation: errBroken,
	} {
		bubble(t, func(t *testing.T) {
			l, points := pointed(t)
			points.Arm(point, fail.Plan{Times: 1, Err: errBroken})
			req := l.putting("k", "v", vclock.Context{})
			req.Minted = func(MintReply) { t.Errorf("%s: it has a dot", point) }
			m := l.mint(req)
			if m.Code != wire.ReplicaRefused || !errors.Is(m.Err, sentinel) || !m.Dot.IsZero() {
				t.Errorf("%s: code %d, %v, dot %s; want a refusal", point, m.Code, m.Err, m.Dot)
			}
			if got := l.put("k", "v", vclock.Context{}); got.Dot.Counter != 1 {
				t.Errorf("%s: the next dot is %s, want the first", point, got.Dot)
			}
		})
	}
}

var errBroken = errors.New("broken on purpose")

func TestMintAndRepeatPassPointsWhereAnErrorWouldLie(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, points := pointed(t)
		points.Arm(PointSends, fail.Plan{Err: errBroken})
		points.Arm(PointRepeat, fail.Plan{Err: errBroken})
		first, second := l.retried("k")
		if first.Code != wire.ReplicaOK || second.Code != wire.ReplicaOK || !second.Repeat {
			t.Errorf("%+v, then %+v; want both stored", first, second)
		}
	})
}

func TestCopyThatIsToFailIsNotMergedOrNotTold(t *testing.T) {
	for point, merged := range map[string]int{PointMerge: 0, PointStored: 1} {
		bubble(t, func(t *testing.T) {
			l, points := pointed(t)
			points.Arm(point, fail.Plan{Times: 1, Err: errBroken})
			o := foreign(1, "x", kv.Object{}, vclock.Context{})
			if r := l.merge(l.copying("k", o)); r.Code != wire.ReplicaFailed {
				t.Errorf("%s: code %d, want failed", point, r.Code)
			}
			if got := l.object("k"); len(got.Versions) != merged {
				t.Errorf("%s: %v is stored, want %d versions", point, got, merged)
			}
		})
	}
}

func TestReadThatIsToFailShowsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, points := pointed(t)
		l.put("k", "v", vclock.Context{})
		points.Arm(PointRead, fail.Plan{Err: errBroken})
		if r := l.read("k"); r.Code != wire.ReplicaFailed || !r.Object.IsZero() {
			t.Errorf("code %d and %v, want failed and nothing", r.Code, r.Object)
		}
	})
}
