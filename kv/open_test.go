// SPDX-License-Identifier: Apache-2.0

package kv

import "testing"

func TestJudgeOpensAcceptsOnlyAListWithTheRememberedOpen(t *testing.T) {
	a, b := Open{Seq: 1, Nonce: 10}, Open{Seq: 2, Nonce: 20}
	fork := Open{Seq: 2, Nonce: 99}
	cases := []struct {
		name       string
		remembered Open
		opens      []Open
		want       Verdict
	}{
		{"unknown to the group, empty", Open{}, nil, VerdictConfirmed},
		{"unknown to the group", Open{}, []Open{a}, VerdictConfirmed},
		{"known to the group, empty", a, nil, VerdictLost},
		{"the open before", a, []Open{a, b}, VerdictConfirmed},
		{"the same open, asked again", b, []Open{a, b}, VerdictConfirmed},
		{"restored from before the remembered open", b, []Open{a}, VerdictForked},
		{"restored, and opened again", b, []Open{a, fork}, VerdictForked},
		{"same number, another nonce", b, []Open{fork}, VerdictForked},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := JudgeOpens(c.remembered, c.opens); got != c.want {
				t.Errorf("JudgeOpens = %v, want %v", got, c.want)
			}
		})
	}
}
