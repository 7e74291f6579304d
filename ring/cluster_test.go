// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestClusterIDIsThirtyTwoHexadecimalDigits(t *testing.T) {
	const text = "000102030405060708090a0b0c0d0e0f"
	if got := testCluster.String(); got != text {
		t.Errorf("String() = %q, want %q", got, text)
	}
	for _, spelling := range []string{text, strings.ToUpper(text)} {
		if got, err := ParseClusterID(spelling); err != nil || got != testCluster {
			t.Errorf("ParseClusterID(%q) = %v, %v, want %v", spelling, got, err, testCluster)
		}
	}
	if got, want := testCluster.HashSeed(), uint64(0x0001020304050607); got != want {
		t.Errorf("HashSeed() = %#x, want %#x", got, want)
	}
}

func TestOtherTextsAreNoClusterID(t *testing.T) {
	for _, text := range []string{
		"", "00", strings.Repeat("0", 32), strings.Repeat("g", 32), strings.Repeat("1", 31),
		strings.Repeat("1", 33), " " + strings.Repeat("1", 31), strings.Repeat("x", 1<<20),
	} {
		id, err := ParseClusterID(text)
		if !errors.Is(err, ErrClusterID) {
			t.Errorf("ParseClusterID(%.40q) gives the error %v, want ErrClusterID", text, err)
		} else if len(err.Error()) > 200 {
			t.Errorf("ParseClusterID(%.40q): the error has %d bytes", text, len(err.Error()))
		}
		if !id.IsZero() {
			t.Errorf("ParseClusterID(%.40q) = %v beside an error", text, id)
		}
	}
}

func TestClusterIDIsStoredAsText(t *testing.T) {
	stored, err := json.Marshal(State{Cluster: testCluster})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(stored), `"000102030405060708090a0b0c0d0e0f"`) {
		t.Errorf("stored state %s does not show the cluster id", stored)
	}
	var s State
	if err := json.Unmarshal(stored, &s); err != nil || s.Cluster != testCluster {
		t.Errorf("read back %v, %v, want %v", s.Cluster, err, testCluster)
	}
	id := testCluster
	if err := id.UnmarshalText([]byte("nonsense")); !errors.Is(err, ErrClusterID) {
		t.Errorf("UnmarshalText of nonsense: %v, want ErrClusterID", err)
	}
	if id != testCluster {
		t.Errorf("UnmarshalText of nonsense changed the id to %v", id)
	}
}
