// SPDX-License-Identifier: Apache-2.0

package wire

import "testing"

// The table of the protocol, by hand, so that a slip in the code's table is found.
func TestCodesSayWhatAFailedRequestLeftBehind(t *testing.T) {
	t.Parallel()
	type want struct {
		write       Outcome
		reads, also Retry
	}
	plain := want{OutcomeNone, RetryNo, RetryNo}
	again := want{OutcomeNone, RetryLater, RetryLater}
	maybe := want{OutcomeUnknown, RetryLater, RetrySameID}
	locks := want{OutcomeNone, RetryByLock, RetryByLock}
	worst := want{OutcomeUnknown, RetryNo, RetryNo}
	cases := map[Code]want{
		"INVALID": plain, "TOO_LARGE": plain, "TOO_MANY_SIBLINGS": plain, "UNKNOWN_METHOD": plain,
		"UNSUPPORTED_VERSION": plain, "UNAUTHENTICATED": plain, "PERMISSION_DENIED": plain,
		"NO_SUCH_BUCKET": plain, "EXISTS": plain, "NOT_READY": again, "OVERLOADED": again,
		"SHUTTING_DOWN": {OutcomeNone, RetryElsewhere, RetryElsewhere},
		"UNAVAILABLE":   again, "QUORUM": maybe, "TIMEOUT": maybe, "FENCED": plain,
		"LOCK_HELD": locks, "WAIT_TIMEOUT": locks, "SESSION_EXPIRED": locks, "LOCK_LOST": locks,
		"LOCK_CONFLICT": locks, "NO_LEADER": again, "CORRUPT": worst, "INTERNAL": worst,
	}
	known := Codes()
	if len(known) != len(cases) {
		t.Errorf("%d codes, the protocol has %d", len(known), len(cases))
	}
	cases["OF_A_LATER_RELEASE"] = worst
	for code, w := range cases {
		if got := code.Outcome(OpRead); got != OutcomeNone {
			t.Errorf("%s: a read leaves %s behind", code, got)
		}
		if got := code.Outcome(OpWrite); got != w.write {
			t.Errorf("%s: a write leaves %s behind, want %s", code, got, w.write)
		}
		if got := code.Retry(OpRead); got != w.reads {
			t.Errorf("%s: a read is retried: %s, want %s", code, got, w.reads)
		}
		if got := code.Retry(OpWrite); got != w.also {
			t.Errorf("%s: a write is retried: %s, want %s", code, got, w.also)
		}
	}
}

func TestErrorsKeepCodeAndText(t *testing.T) {
	t.Parallel()
	for _, code := range append(Codes(), "OF_A_LATER_RELEASE_2") {
		const text = "need 2, got 1: n2 (down)"
		gotCode, gotText := ParseError(FormatError(code, text))
		if gotCode != code || gotText != text {
			t.Errorf("got %q and %q, want %q and %q", gotCode, gotText, code, text)
		}
	}
}

func TestErrorsOfOthersAreInternal(t *testing.T) {
	t.Parallel()
	cases := []struct {
		in   string
		code Code
		text string
	}{
		{"QUORUM", "QUORUM", ""},
		{"QUORUM:tight", "QUORUM", "tight"},
		{"QUORUM:  wide", "QUORUM", " wide"},
		{"", CodeInternal, ""},
		{": no code", CodeInternal, ": no code"},
		{"dial tcp: refused", CodeInternal, "dial tcp: refused"},
		{"_QUORUM: x", CodeInternal, "_QUORUM: x"},
		{"2FAST: x", CodeInternal, "2FAST: x"},
		{"ÄRGER: x", CodeInternal, "ÄRGER: x"},
	}
	for _, c := range cases {
		if code, text := ParseError(c.in); code != c.code || text != c.text {
			t.Errorf("%q: got %q and %q, want %q and %q", c.in, code, text, c.code, c.text)
		}
	}
}
