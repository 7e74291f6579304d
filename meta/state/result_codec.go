// SPDX-License-Identifier: Apache-2.0

package state

// AppendResult appends a result as one member tells it another.
func AppendResult(dst []byte, r *Result) []byte { return dst }

// DecodeResult reads a result. The error wraps ErrUnknown or ErrDamaged.
func DecodeResult(b []byte) (Result, error) { return Result{}, nil }
