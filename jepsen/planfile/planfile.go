// SPDX-License-Identifier: Apache-2.0

package planfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrMalformed is returned for what is not written as a plan is.
var ErrMalformed = errors.New("not a written plan")

// Span is a time.Duration that is written as text.
type Span time.Duration

// MarshalText gives the duration as package time prints it.
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalText takes what time.ParseDuration takes.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = Span(d)
	return err
}

func (s Span) String() string { return time.Duration(s).String() }

// Write writes a plan, to be read by people too.
func Write(w io.Writer, plan any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(plan)
}

// Read reads one plan of at most so many bytes into what plan points to.
func Read(r io.Reader, most int64, plan any) error {
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if int64(len(text)) > most {
		return fmt.Errorf("%w: longer than %d bytes", ErrMalformed, most)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(plan); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if d.More() {
		return fmt.Errorf("%w: something follows it", ErrMalformed)
	}
	return nil
}
