// SPDX-License-Identifier: Apache-2.0

package plan

// Lack is something that the product can not do yet, so that no plan asks for it.
type Lack struct {
	// Room is the folder, or the file of this rig, in which it will live. While that is not
	// there, neither is it.
	Room string
	// Out is what plans leave out for want of it.
	Out string
}

// Lacking lists what is left out of the draw. Whoever adds the room to the product takes
// its line away, and draws what it says; a test asks for that.
func Lacking() []Lack {
	return []Lack{
		{Room: "sim/trial/moves.go", Out: "members that join, leave and change their weight"},
	}
}
