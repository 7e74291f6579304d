// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// Methods of the peer port by which two replicas compare what they hold.
const (
	MethodTreeSums = "tree.sums"
	MethodTreeList = "tree.list"
)

const (
	// MaxTreeLeaves is how many leaves one tree.list may ask for: a replica that differs in
	// more of them is brought up in several goes, so that nobody lists a whole store for it.
	MaxTreeLeaves = 256
	// MaxTreeNodes is how many nodes of a level one tree.sums may ask for: all leaves that a
	// tree has.
	MaxTreeNodes = 1024
)

// TreeTarget says which tree a message is about. Two trees that differ in any of it are of
// different keys, or hash them otherwise, and are never compared (TRAPS M7).
type TreeTarget struct {
	Partition uint16
	// Placement is the partition's version in the sender's ring: exactly that, no older one.
	Placement kv.PlacementVersion
	// Instance is the receiver's, as the sender knows it.
	Instance kv.Instance
	// Shape names what the tree sums up, and how (package antientropy).
	Shape uint64
	// RemainingMS is how long the sender will wait, in milliseconds.
	RemainingMS uint32
}

// TreeLevel is a level of a tree, from the top.
type TreeLevel uint8

// The levels of a tree.
const (
	TreeRoot TreeLevel = 1 + iota
	TreeBranches
	TreeLeaves
)

// TreeSum is what a node of a tree says of the keys below it.
type TreeSum struct {
	Hash uint64
	Keys uint64
}

// TreeSumsRequest asks a replica for nodes of a level of its tree.
type TreeSumsRequest struct {
	TreeTarget
	Level TreeLevel
	Nodes []uint16 // by their positions in the level, at most MaxTreeNodes
}

// TreeSumsReply answers a TreeSumsRequest, with a sum for each node that was asked for, in
// that order.
type TreeSumsReply struct {
	Standing
	Code   ReplicaCode
	Detail string
	Sums   []TreeSum
}

// TreePlace is a place in the order of a partition's keys.
type TreePlace struct {
	Bucket kv.BucketID
	Key    []byte
}

// TreeListRequest asks a replica which keys are below some leaves of its tree, and what
// their entries are, after a place.
type TreeListRequest struct {
	TreeTarget
	Leaves []uint16 // at most MaxTreeLeaves
	After  TreePlace
	Limit  uint32 // keys, at most MaxList
}

// TreeEntry is one key of a list, and its entry in the tree.
type TreeEntry struct {
	TreePlace
	// Damaged: there is a record that can not be read.
	Damaged bool
	Hash    uint64
}

// TreeListReply answers a TreeListRequest. Where More is set there may be others after
// Next, which is not before the last entry: a page also ends when much was looked at.
type TreeListReply struct {
	Standing
	Code    ReplicaCode
	Detail  string
	Entries []TreeEntry
	More    bool
	Next    TreePlace
}

// How many fields this release knows of each message; arrays may be longer.
const (
	treeTargetFields    = 5
	treeSumsFields      = 3
	treeSumsReplyFields = 4
	treeSumFields       = 2
	treeListFields      = 4
	treeListReplyFields = 6
	treePlaceFields     = 2
	treeEntryFields     = 3
)

func appendTreeTarget(dst []byte, t *TreeTarget) []byte {
	dst = append(dst, 0x90|treeTargetFields)
	dst = appendUint(dst, uint64(t.Partition))
	dst = appendUint(dst, uint64(t.Placement))
	dst = appendUint(dst, uint64(t.Instance))
	dst = appendUint(dst, t.Shape)
	return appendUint(dst, uint64(t.RemainingMS))
}

func (r *reader) treeTarget(t *TreeTarget) {
	r.field = "target"
	extra := r.tuple(treeTargetFields)
	t.Partition = r.uint16()
	t.Placement = kv.PlacementVersion(r.uint64())
	t.Instance = kv.Instance(r.uint64())
	t.Shape = r.uint64()
	t.RemainingMS = r.uint32()
	r.extras(extra)
}

func appendNodes(dst []byte, nodes []uint16) []byte {
	dst = appendArray(dst, len(nodes))
	for _, n := range nodes {
		dst = appendUint(dst, uint64(n))
	}
	return dst
}

// nodes reads at most limit positions.
func (r *reader) nodes(limit int) []uint16 {
	return elements(r, r.atMost(limit, 1), (*reader).uint16)
}

// AppendTreeSumsRequest appends the params of tree.sums.
func AppendTreeSumsRequest(dst []byte, q *TreeSumsRequest) []byte {
	dst = appendTreeTarget(append(dst, 0x90|treeSumsFields), &q.TreeTarget)
	dst = appendUint(dst, uint64(q.Level))
	return appendNodes(dst, q.Nodes)
}

// DecodeTreeSumsRequest reads the params of tree.sums.
func DecodeTreeSumsRequest(b []byte, into *TreeSumsRequest) error {
	*into = TreeSumsRequest{}
	r := reader{b: b, field: "sums"}
	extra := r.tuple(treeSumsFields)
	r.treeTarget(&into.TreeTarget)
	r.field = "level"
	into.Level = TreeLevel(r.oneOf(uint8(TreeRoot), uint8(TreeLeaves)))
	r.field = "nodes"
	into.Nodes = r.nodes(MaxTreeNodes)
	r.extras(extra)
	return r.finish()
}

// AppendTreeSumsReply appends the result of tree.sums.
func AppendTreeSumsReply(dst []byte, a *TreeSumsReply) []byte {
	dst = appendStanding(append(dst, 0x90|treeSumsReplyFields), &a.Standing)
	dst = appendUint(dst, uint64(a.Code))
	dst = appendStr(dst, a.Detail)
	dst = appendArray(dst, len(a.Sums))
	for _, s := range a.Sums {
		dst = appendUint(append(dst, 0x90|treeSumFields), s.Hash)
		dst = appendUint(dst, s.Keys)
	}
	return dst
}

// minTreeSum is the least that an encoded sum takes: its array, and two small numbers.
const minTreeSum = 1 + 1 + 1

// DecodeTreeSumsReply reads the result of tree.sums.
func DecodeTreeSumsReply(b []byte, into *TreeSumsReply) error {
	*into = TreeSumsReply{}
	r := reader{b: b, field: "sums"}
	extra := r.tuple(treeSumsReplyFields)
	r.standing(&into.Standing)
	into.Code = r.replicaCode()
	into.Detail = r.text(len(r.b))
	into.Sums = elements(&r, r.array(minTreeSum), (*reader).treeSum)
	r.extras(extra)
	return r.finish()
}

func (r *reader) treeSum() (s TreeSum) {
	r.field = "sum"
	extra := r.tuple(treeSumFields)
	s.Hash = r.uint64()
	s.Keys = r.uint64()
	r.extras(extra)
	return s
}

func appendTreePlace(dst []byte, p *TreePlace) []byte {
	dst = appendUint(append(dst, 0x90|treePlaceFields), uint64(p.Bucket))
	return appendBin(dst, p.Key)
}

func (r *reader) treePlace() (p TreePlace) {
	extra := r.tuple(treePlaceFields)
	p.Bucket = kv.BucketID(r.uint32())
	p.Key = r.bytes(kv.MaxKey)
	r.extras(extra)
	return p
}

// AppendTreeListRequest appends the params of tree.list.
func AppendTreeListRequest(dst []byte, q *TreeListRequest) []byte {
	dst = appendTreeTarget(append(dst, 0x90|treeListFields), &q.TreeTarget)
	dst = appendNodes(dst, q.Leaves)
	dst = appendTreePlace(dst, &q.After)
	return appendUint(dst, uint64(q.Limit))
}

// DecodeTreeListRequest reads the params of tree.list. Slices alias b.
func DecodeTreeListRequest(b []byte, into *TreeListRequest) error {
	*into = TreeListRequest{}
	r := reader{b: b, field: "list"}
	extra := r.tuple(treeListFields)
	r.treeTarget(&into.TreeTarget)
	r.field = "leaves"
	into.Leaves = r.nodes(MaxTreeLeaves)
	r.field = "after"
	into.After = r.treePlace()
	r.field = "limit"
	into.Limit = uint32(r.uint(MaxList))
	r.extras(extra)
	return r.finish()
}

// AppendTreeListReply appends the result of tree.list.
func AppendTreeListReply(dst []byte, a *TreeListReply) []byte {
	dst = appendStanding(append(dst, 0x90|treeListReplyFields), &a.Standing)
	dst = appendUint(dst, uint64(a.Code))
	dst = appendStr(dst, a.Detail)
	dst = appendArray(dst, len(a.Entries))
	for i := range a.Entries {
		e := &a.Entries[i]
		dst = appendTreePlace(append(dst, 0x90|treeEntryFields), &e.TreePlace)
		dst = appendBool(dst, e.Damaged)
		dst = appendUint(dst, e.Hash)
	}
	dst = appendBool(dst, a.More)
	return appendTreePlace(dst, &a.Next)
}

// minTreeEntry is the least that an encoded entry takes: its array, a place with a key of
// no byte, a flag, and a small hash.
const minTreeEntry = 1 + (1 + 1 + 1) + 1 + 1

// DecodeTreeListReply reads the result of tree.list. Slices alias b.
func DecodeTreeListReply(b []byte, into *TreeListReply) error {
	*into = TreeListReply{}
	r := reader{b: b, field: "list"}
	extra := r.tuple(treeListReplyFields)
	r.standing(&into.Standing)
	into.Code = r.replicaCode()
	into.Detail = r.text(len(r.b))
	into.Entries = elements(&r, r.array(minTreeEntry), (*reader).treeEntry)
	into.More = r.bool()
	r.field = "next"
	into.Next = r.treePlace()
	r.extras(extra)
	return r.finish()
}

func (r *reader) treeEntry() (e TreeEntry) {
	r.field = "entry"
	extra := r.tuple(treeEntryFields)
	e.TreePlace = r.treePlace()
	e.Damaged = r.bool()
	e.Hash = r.uint64()
	r.extras(extra)
	return e
}
