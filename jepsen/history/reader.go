// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxLine is the longest line that is read: the longest lists fit twice.
const MaxLine = 8 << 20

// MaxEvents is how many events a history may have.
const MaxEvents = 1 << 20

// Reader reads a history line by line, in memory that does not depend on its length.
type Reader struct {
	lines  *bufio.Scanner
	header Header
	seen   end
	ended  bool
	n      int // lines so far, for errors
}

// NewReader reads the header.
func NewReader(r io.Reader) (*Reader, error) {
	in := &Reader{lines: bufio.NewScanner(r)}
	in.lines.Buffer(nil, MaxLine)
	l, err := in.line()
	if err != nil {
		return nil, err
	}
	if l.Header == nil {
		return nil, fmt.Errorf("%w: line 1 is no header", ErrInvalid)
	}
	in.header = *l.Header
	return in, nil
}

// Header is the history's.
func (r *Reader) Header() Header { return r.header }

// Next returns the next operation or event; the other one is nil. It ends with io.EOF
// behind a whole history, and with ErrCut where the end is missing.
func (r *Reader) Next() (*Op, *Event, error) {
	if r.ended {
		return nil, nil, io.EOF
	}
	l, err := r.line()
	switch {
	case err != nil:
		return nil, nil, err
	case l.Op != nil:
		r.seen.Ops++
		return l.Op, nil, nil
	case l.Event != nil:
		r.seen.Events++
		return nil, l.Event, nil
	case l.End != nil:
		return nil, nil, r.finish(l.End)
	default:
		return nil, nil, fmt.Errorf("%w: line %d: a second header", ErrInvalid, r.n)
	}
}

func (r *Reader) finish(e *end) error {
	if *e != r.seen {
		return fmt.Errorf("%w: %d operations and %d events, the end counts %d and %d",
			ErrCut, r.seen.Ops, r.seen.Events, e.Ops, e.Events)
	}
	if r.lines.Scan() {
		return fmt.Errorf("%w: lines behind the end", ErrInvalid)
	}
	if err := r.lines.Err(); err != nil {
		return fmt.Errorf("history: read: %w", err)
	}
	r.ended = true
	return io.EOF
}

func (r *Reader) line() (*line, error) {
	r.n++
	if !r.lines.Scan() {
		err := r.lines.Err()
		switch {
		case errors.Is(err, bufio.ErrTooLong):
			return nil, fmt.Errorf("%w: line %d is longer than %d bytes", ErrInvalid, r.n, MaxLine)
		case err != nil:
			return nil, fmt.Errorf("history: read: %w", err)
		}
		return nil, fmt.Errorf("%w: no end in line %d", ErrCut, r.n)
	}
	l, err := decode(r.lines.Bytes())
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", r.n, err)
	}
	return l, nil
}

func decode(text []byte) (*line, error) {
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	var l line
	if err := in.Decode(&l); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%w: in the middle of a line", ErrCut)
		}
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one value", ErrInvalid)
	}
	return &l, l.check()
}

func (l *line) check() error {
	fields := 0
	var err error
	if l.Header != nil {
		fields++
		err = l.Header.Check()
	}
	if l.Op != nil {
		fields++
		err = errors.Join(err, l.Op.Check())
	}
	if l.Event != nil {
		fields++
		err = errors.Join(err, l.Event.Check())
	}
	if l.End != nil {
		fields++
	}
	if fields != 1 {
		return fmt.Errorf("%w: must be one of header, op, event and end", ErrInvalid)
	}
	return err
}

// ReadAll reads a whole history of at most maxOps operations. With ErrCut it returns what
// there is as well.
func ReadAll(r io.Reader, maxOps int) (*History, error) {
	in, err := NewReader(r)
	if err != nil {
		return nil, err
	}
	h := &History{Header: in.Header()}
	for {
		op, event, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return h, nil
		case errors.Is(err, ErrCut):
			return h, err
		case err != nil:
			return nil, err
		case op != nil && len(h.Ops) == maxOps:
			return nil, fmt.Errorf("%w: more than %d operations", ErrTooLong, maxOps)
		case event != nil && len(h.Events) == MaxEvents:
			return nil, fmt.Errorf("%w: more than %d events", ErrTooLong, MaxEvents)
		case op != nil:
			h.Ops = append(h.Ops, *op)
		default:
			h.Events = append(h.Events, *event)
		}
	}
}
