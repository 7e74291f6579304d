// SPDX-License-Identifier: Apache-2.0

//go:build !invariants && !race

package invariant

// Enabled says whether assertions are checked. It is a constant.
const Enabled = false
