// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// theta is YCSB's skew: at 0.99 a tenth of 100,000 keys gets about four fifths of the
// requests.
const theta = 0.99

// chooser draws keys by their numbers. It is immutable and shared by the clients.
type chooser struct {
	keys uint64
	zipf *zipf // nil: uniform
}

func newChooser(d Distribution, keys uint64) chooser {
	c := chooser{keys: keys}
	if d == Zipfian {
		c.zipf = newZipf(keys)
	}
	return c
}

func (c chooser) draw(rng *rand.Rand) uint64 {
	if c.zipf == nil {
		return rng.Uint64N(c.keys)
	}
	// Scattered, so that hot keys are no neighbours and share no partition.
	return scatter(c.zipf.draw(rng)) % c.keys
}

// scatter is the finalizer of SplitMix64: a permutation of 64 bits.
func scatter(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// zipf draws ranks 0 to n-1, rank i with a weight of 1/(i+1)^theta, by the method of
// Gray and others ("Quickly Generating Billion-Record Synthetic Databases", 1994), which
// YCSB uses. The generator of math/rand/v2 knows only exponents above 1.
type zipf struct {
	n                 float64
	alpha, zetaN, eta float64
}

func newZipf(n uint64) *zipf {
	z := &zipf{n: float64(n), alpha: 1 / (1 - theta)}
	for i := range n {
		z.zetaN += 1 / math.Pow(float64(i+1), theta)
	}
	zeta2 := 1 + math.Pow(0.5, theta)
	z.eta = (1 - math.Pow(2/z.n, 1-theta)) / (1 - zeta2/z.zetaN)
	return z
}

func (z *zipf) draw(rng *rand.Rand) uint64 {
	u := rng.Float64()
	switch uz := u * z.zetaN; {
	case uz < 1 || z.n < 2:
		return 0
	case uz < 1+math.Pow(0.5, theta) || z.n < 3:
		return 1
	}
	rank := z.n * math.Pow(z.eta*u-z.eta+1, z.alpha)
	return uint64(min(rank, z.n-1))
}

func keyName(prefix string, number uint64) string {
	return fmt.Sprintf("%s%010d", prefix, number)
}
