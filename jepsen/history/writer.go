// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// line is one line of the encoding: one of its fields is there.
type line struct {
	Header *Header `json:"header,omitempty"`
	Op     *Op     `json:"op,omitempty"`
	Event  *Event  `json:"event,omitempty"`
	End    *end    `json:"end,omitempty"`
}

// end is the last line, and counts those before it.
type end struct {
	Ops    int `json:"ops"`
	Events int `json:"events"`
}

// Writer writes a history as it happens. It is for one goroutine; [Recorder] is for
// several. The first error of the file stays, and is what each later call returns.
type Writer struct {
	buf  *bufio.Writer
	json *json.Encoder
	end  end
	err  error
}

// NewWriter writes the header, with this package's version in it, to w.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	h.Version = Version
	if err := h.Check(); err != nil {
		return nil, err
	}
	buf := bufio.NewWriterSize(w, 64<<10)
	out := &Writer{buf: buf, json: json.NewEncoder(buf)}
	out.json.SetEscapeHTML(false)
	return out, out.write(&line{Header: &h})
}

// Op writes one operation. A refused one (ErrInvalid) leaves the file as it was.
func (w *Writer) Op(o *Op) error {
	cut := o.bounded()
	if err := cut.Check(); err != nil {
		return err
	}
	err := w.write(&line{Op: &cut})
	if err == nil {
		w.end.Ops++
	}
	return err
}

// bounded is o with an error text that fits: it is for people, and may come from anywhere.
func (o *Op) bounded() Op {
	cut := *o
	if len(cut.Error) > MaxError {
		cut.Error = cut.Error[:MaxError-3] + "..."
	}
	cut.Error = strings.ToValidUTF8(cut.Error, "")
	return cut
}

// Event writes one event.
func (w *Writer) Event(e *Event) error {
	if err := e.Check(); err != nil {
		return err
	}
	err := w.write(&line{Event: e})
	if err == nil {
		w.end.Events++
	}
	return err
}

// Close writes the end. The file below stays open.
func (w *Writer) Close() error {
	if err := w.write(&line{End: &w.end}); err != nil {
		return err
	}
	if err := w.buf.Flush(); err != nil {
		return fmt.Errorf("history: write: %w", err)
	}
	return nil
}

func (w *Writer) write(l *line) error {
	if w.err != nil {
		return w.err
	}
	if err := w.json.Encode(l); err != nil {
		w.err = fmt.Errorf("history: write: %w", err)
	}
	return w.err
}

// WriteAll writes a whole history.
func WriteAll(w io.Writer, h *History) error {
	out, err := NewWriter(w, h.Header)
	if err != nil {
		return err
	}
	for i := range h.Ops {
		if err := out.Op(&h.Ops[i]); err != nil {
			return err
		}
	}
	for i := range h.Events {
		if err := out.Event(&h.Events[i]); err != nil {
			return err
		}
	}
	return out.Close()
}
