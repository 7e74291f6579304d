// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/binary"
	"math/rand/v2"
)

// maxValue is the largest value that a run writes: 4 MiB.
const maxValue = 4 << 20

// poolExtra is how far apart values may begin in the pool.
const poolExtra = 1 << 20

// values hands out bytes that no layer below can make smaller: windows of a random pool
// that is longer than a value. It is immutable and shared.
type values struct {
	pool []byte
	size int
}

func newValues(size int, seed uint64) values {
	v := values{pool: make([]byte, size+poolExtra), size: size}
	rng := rand.New(rand.NewPCG(seed, 0x76616c756573))
	for i := 0; i+8 <= len(v.pool); i += 8 {
		binary.LittleEndian.PutUint64(v.pool[i:], rng.Uint64())
	}
	return v
}

// draw returns a value; it must not be changed.
func (v values) draw(rng *rand.Rand) []byte {
	begin := rng.IntN(poolExtra)
	return v.pool[begin : begin+v.size : begin+v.size]
}
