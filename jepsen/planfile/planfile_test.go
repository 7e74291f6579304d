// SPDX-License-Identifier: Apache-2.0

package planfile

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

type plan struct {
	For Span `json:"for"`
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	var text strings.Builder
	if err := Write(&text, plan{Span(1500 * time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	if want := "{\n \"for\": \"1.5s\"\n}\n"; text.String() != want {
		t.Errorf("written as %q", &text)
	}
	var got plan
	most := int64(text.Len())
	err := Read(strings.NewReader(text.String()), most, &got)
	if err != nil || got.For != Span(1500*time.Millisecond) {
		t.Errorf("%v, %v", got, err)
	}
	err = Read(strings.NewReader(text.String()), most-1, &got)
	if !errors.Is(err, ErrMalformed) {
		t.Errorf("a byte too long: %v", err)
	}
}

func TestWhatIsNotWrittenLikeThisIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "[]", `{"for":5}`, `{"for":"5 years"}`, `{"until":"1s"}`, "{} {}",
	} {
		if err := Read(strings.NewReader(text), 100, &plan{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
	broken := errors.New("broken")
	err := Read(iotest.ErrReader(broken), 100, &plan{})
	if !errors.Is(err, broken) || errors.Is(err, ErrMalformed) {
		t.Errorf("what can not be read: %v", err)
	}
}
