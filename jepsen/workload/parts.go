// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// part is what one client has added to a counter, as by.Client's by.Seq-th write has it: of
// two states of one part the one with the higher number is the newer.
type part struct {
	by    history.Value
	total int64
}

// encodeParts gives the value that holds a counter: how many parts there are, then each on
// a line, in order. As with sets, number and last line's end tell a whole value from a
// part of one.
func encodeParts(parts []part) []byte {
	out := append(strconv.AppendInt(nil, int64(len(parts)), 10), '\n')
	for _, p := range parts {
		out = append(append(out, p.by.String()...), ' ')
		out = append(strconv.AppendInt(out, p.total, 10), '\n')
	}
	return out
}

// decodeParts takes what encodeParts gives, and nothing else.
func decodeParts(b []byte) ([]part, error) {
	bad := fmt.Errorf("%w: %.40q is no counter", history.ErrValue, b)
	lines := bytes.Split(b, []byte{'\n'})
	out := make([]part, 0, len(lines))
	for _, line := range lines[1:max(len(lines)-1, 1)] {
		by, total, _ := bytes.Cut(line, []byte{' '})
		var p part
		if err := p.by.UnmarshalText(by); err != nil {
			return nil, err
		}
		n, err := strconv.ParseInt(string(total), 10, 64)
		if err != nil || n < 1 || len(out) > 0 && out[len(out)-1].by.Client >= p.by.Client {
			return nil, bad
		}
		p.total = n
		out = append(out, p)
	}
	if !bytes.Equal(encodeParts(out), b) {
		return nil, bad
	}
	return out, nil
}

// mergeParts takes the newest state of each client's part that is in any of the siblings,
// in order of the clients.
func mergeParts(siblings [][]byte) ([]part, error) {
	var all []part
	for _, b := range siblings {
		parts, err := decodeParts(b)
		if err != nil {
			return nil, err
		}
		all = append(all, parts...)
	}
	slices.SortStableFunc(all, func(a, b part) int { return a.by.Compare(b.by) })
	var out []part
	for _, p := range all {
		last := len(out) - 1
		if last < 0 || out[last].by.Client != p.by.Client {
			out = append(out, p)
			continue
		}
		if out[last].by == p.by && out[last].total != p.total {
			return nil, fmt.Errorf("%w: the part %s is %d in one sibling, and %d in another",
				history.ErrValue, p.by, out[last].total, p.total)
		}
		out[last] = p
	}
	return out, nil
}

// sumOf is what a counter holds.
func sumOf(parts []part) (int64, error) {
	sum := int64(0)
	for _, p := range parts {
		if p.total > math.MaxInt64-sum {
			return 0, fmt.Errorf("%w: the counter overflows", history.ErrValue)
		}
		sum += p.total
	}
	return sum, nil
}

// ownPart is the client's part among parts, and where it is or belongs.
func ownPart(parts []part, client uint32) (at int, own part) {
	at, found := slices.BinarySearchFunc(parts, client, func(p part, c uint32) int {
		return cmp.Compare(p.by.Client, c)
	})
	if found {
		own = parts[at]
	}
	return at, own
}
