// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// ClusterID names a cluster. It is drawn at random at formation and never changes;
// the zero value names no cluster.
type ClusterID [16]byte

// ErrClusterID is returned for a text that is no cluster id.
var ErrClusterID = errors.New("ring: not a cluster id")

// ParseClusterID reads the 32 hexadecimal digits that String writes (either case).
// It returns ErrClusterID for anything else, and for the zero id.
func ParseClusterID(text string) (ClusterID, error) {
	var id ClusterID
	if len(text) != hex.EncodedLen(len(id)) {
		return ClusterID{}, fmt.Errorf("%w: %q has %d characters, not %d hexadecimal digits",
			ErrClusterID, abbreviate(text), len(text), hex.EncodedLen(len(id)))
	}
	if _, err := hex.Decode(id[:], []byte(text)); err != nil {
		return ClusterID{}, fmt.Errorf("%w: %q: %w", ErrClusterID, text, err)
	}
	if id.IsZero() {
		return ClusterID{}, fmt.Errorf("%w: all digits are zero", ErrClusterID)
	}
	return id, nil
}

// String returns the id as 32 lowercase hexadecimal digits.
func (c ClusterID) String() string { return hex.EncodeToString(c[:]) }

// IsZero reports whether the id names no cluster.
func (c ClusterID) IsZero() bool { return c == ClusterID{} }

// HashSeed returns the seed of the cluster's key hash: the first 8 bytes of the id,
// big-endian. Two clusters thus spread the same keys differently.
func (c ClusterID) HashSeed() uint64 { return binary.BigEndian.Uint64(c[:8]) }

// MarshalText writes the id as String does, so that stored states can be read.
func (c ClusterID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is the inverse of MarshalText, with the errors of ParseClusterID.
func (c *ClusterID) UnmarshalText(text []byte) error {
	id, err := ParseClusterID(string(text))
	if err != nil {
		return err
	}
	*c = id
	return nil
}

// abbreviate keeps a foreign text from filling an error message.
func abbreviate(text string) string {
	const most = 48
	if len(text) <= most {
		return text
	}
	return text[:most] + "..."
}
