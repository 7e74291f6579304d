// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"iter"
	"slices"
	"sort"
)

// blockLen bounds a block: to insert moves at most that many pointers.
const blockLen = 256

// sortable is what an ordered can hold. The order of what is in one must not change.
type sortable[T any] interface {
	compare(T) int
}

// ordered is a sorted set in blocks: finding takes a binary search, inserting and
// removing move one block, and counting what stands before something adds up the blocks,
// at most some hundred. It is used for names, for queues and for holders.
type ordered[T sortable[T]] struct {
	// blocks are not empty, and in order.
	blocks [][]T
	size   int
}

// locate returns the place where x is, or would be.
func (o *ordered[T]) locate(x T) (block, i int, found bool) {
	block = sort.Search(len(o.blocks), func(b int) bool {
		list := o.blocks[b]
		return list[len(list)-1].compare(x) >= 0
	})
	if block == len(o.blocks) {
		return block, 0, false
	}
	i, found = slices.BinarySearchFunc(o.blocks[block], x, T.compare)
	return block, i, found
}

// find returns the element that is equal to x in the order.
func (o *ordered[T]) find(x T) (T, bool) {
	block, i, found := o.locate(x)
	if !found {
		var none T
		return none, false
	}
	return o.blocks[block][i], true
}

// insert adds x; what is there already stays, and insert returns false.
func (o *ordered[T]) insert(x T) bool {
	block, i, found := o.locate(x)
	if found {
		return false
	}
	o.size++
	if block == len(o.blocks) { // behind all others
		if block == 0 || len(o.blocks[block-1]) == blockLen {
			o.blocks = append(o.blocks, []T{x})
			return true
		}
		block--
		i = len(o.blocks[block])
	}
	o.blocks[block] = slices.Insert(o.blocks[block], i, x)
	if len(o.blocks[block]) > blockLen {
		o.split(block)
	}
	return true
}

func (o *ordered[T]) split(block int) {
	list := o.blocks[block]
	upper := slices.Clone(list[len(list)/2:])
	clear(list[len(list)/2:])
	o.blocks[block] = list[:len(list)/2]
	o.blocks = slices.Insert(o.blocks, block+1, upper)
}

// remove takes x out; it returns false where x is not there.
func (o *ordered[T]) remove(x T) bool {
	block, i, found := o.locate(x)
	if !found {
		return false
	}
	o.size--
	o.blocks[block] = slices.Delete(o.blocks[block], i, i+1)
	if len(o.blocks[block]) == 0 {
		o.blocks = slices.Delete(o.blocks, block, block+1)
		return true
	}
	o.join(block)
	o.join(block - 1)
	return true
}

// join makes one of a block and the next where both are small, so that the
// number of blocks follows that of the elements.
func (o *ordered[T]) join(block int) {
	if block < 0 || block+1 >= len(o.blocks) {
		return
	}
	list, next := o.blocks[block], o.blocks[block+1]
	if len(list)+len(next) > blockLen/2 {
		return
	}
	o.blocks[block] = append(list, next...)
	o.blocks = slices.Delete(o.blocks, block+1, block+2)
}

// first returns the lowest element; false where there is none.
func (o *ordered[T]) first() (T, bool) {
	if o.size == 0 {
		var none T
		return none, false
	}
	return o.blocks[0][0], true
}

// before counts the elements below x.
func (o *ordered[T]) before(x T) int {
	block, count, _ := o.locate(x)
	for _, list := range o.blocks[:block] {
		count += len(list)
	}
	return count
}

// from walks through the elements that are not below x.
func (o *ordered[T]) from(x T) iter.Seq[T] {
	return func(yield func(T) bool) {
		block, i, _ := o.locate(x)
		for ; block < len(o.blocks); block, i = block+1, 0 {
			for _, y := range o.blocks[block][i:] {
				if !yield(y) {
					return
				}
			}
		}
	}
}

// all walks through all elements.
func (o *ordered[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, list := range o.blocks {
			for _, y := range list {
				if !yield(y) {
					return
				}
			}
		}
	}
}
