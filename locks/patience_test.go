// SPDX-License-Identifier: Apache-2.0

package locks

import "testing"

// That whoever would queue does queue, every history of these tests checks (apply).
func TestOnlyANewWaitBehindOthersWouldQueue(t *testing.T) {
	l := newLog(t)
	for n := 1; n <= 3; n++ {
		l.do(SessionOpen{ID: sid(n), TTL: ttl})
	}
	l.do(Acquire{Session: sid(1), Holder: 1, Name: "held", Kind: KindExclusive})
	l.do(Acquire{Session: sid(1), Holder: 2, Name: "shared", Kind: KindShared})
	l.do(Acquire{Session: sid(2), Holder: 1, Name: "held", Kind: KindShared, Wait: minute})
	want := func(session int, holder uint64, name string, kind Kind) Acquire {
		return Acquire{Session: sid(session), Holder: holder, Name: name, Kind: kind, Wait: minute}
	}
	try := want(3, 1, "held", KindExclusive)
	try.Wait = 0
	givesUp := want(1, 3, "held", KindExclusive)
	givesUp.DoneThrough = 1
	for name, c := range map[string]struct {
		command Acquire
		want    bool
	}{
		"behind a holder":          {want(3, 1, "held", KindExclusive), true},
		"a reader behind a writer": {want(3, 1, "held", KindShared), true},
		"a writer behind readers":  {want(3, 1, "shared", KindExclusive), true},
		"a reader beside readers":  {want(3, 1, "shared", KindShared), false},
		"a try":                    {try, false},
		"a free lock":              {want(3, 1, "free", KindExclusive), false},
		"no session":               {want(9, 1, "held", KindExclusive), false},
		"again":                    {want(2, 1, "held", KindShared), false},
		"giving up the lock":       {givesUp, false},
	} {
		if got := l.table.WouldQueue(c.command); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
