// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// encodeSet gives the value that holds elements: how many there are, then each on a line.
// The number and the last line's end tell a whole value from one that was cut.
func encodeSet(elements []history.Value) []byte {
	out := append(strconv.AppendInt(nil, int64(len(elements)), 10), '\n')
	for _, v := range elements {
		out = append(append(out, v.String()...), '\n')
	}
	return out
}

// decodeSet takes what encodeSet gives, and nothing else.
func decodeSet(b []byte) ([]history.Value, error) {
	lines := bytes.Split(b, []byte{'\n'})
	n, err := strconv.Atoi(string(lines[0]))
	if err != nil || n < 0 || n > history.MaxValues || len(lines) != n+2 || len(lines[n+1]) > 0 {
		return nil, fmt.Errorf("%w: %.40q is no set", history.ErrValue, b)
	}
	out := make([]history.Value, n)
	for i := range out {
		if err := out[i].UnmarshalText(lines[i+1]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// joinSets is all that is in any of the siblings, each once, in order.
func joinSets(siblings [][]byte) ([]history.Value, error) {
	var all []history.Value
	for _, b := range siblings {
		elements, err := decodeSet(b)
		if err != nil {
			return nil, err
		}
		all = append(all, elements...)
	}
	slices.SortFunc(all, history.Value.Compare)
	return slices.Compact(all), nil
}
