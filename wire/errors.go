// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"strconv"
)

// DecodeError says why a message was refused. Code is INVALID, or TOO_LARGE where a
// limit was exceeded by something that is otherwise well formed.
type DecodeError struct {
	Code  Code
	Field string // the key or field at fault; empty where the whole message is
	Why   string // for people: what is wrong and what would be right
}

// Text is the error for people, without the code: what FormatError takes.
func (e *DecodeError) Text() string {
	if e.Field == "" {
		return e.Why
	}
	return e.Field + ": " + e.Why
}

func (e *DecodeError) Error() string { return "wire: " + FormatError(e.Code, e.Text()) }

// Is makes every refusal but that of a limit an ErrMalformed too.
func (e *DecodeError) Is(target error) bool {
	return target == ErrMalformed && e.Code == CodeInvalid
}

func invalid(field, format string, args ...any) *DecodeError {
	return &DecodeError{Code: CodeInvalid, Field: field, Why: fmt.Sprintf(format, args...)}
}

func tooLarge(field string, size, limit int) *DecodeError {
	why := fmt.Sprintf("%d bytes, at most %d", size, limit)
	return &DecodeError{Code: CodeTooLarge, Field: field, Why: why}
}

// quoted shows bytes of a peer in an error, printable whatever they are.
func quoted(b []byte) string { return strconv.QuoteToASCII(string(b)) }
