// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/dyno-kv/dyno/jepsen/disk"
)

// TestAMapOfBeforeAPowerLossChangesNothingAfterIt: of a process that should have been dead,
// and that had written into its map without a sync.
func TestAMapOfBeforeAPowerLossChangesNothingAfterIt(t *testing.T) {
	d := mount(t, disk.Config{})
	path, was := filepath.Join(d.Dir(), "f"), bytes.Repeat([]byte{'o'}, mapped)
	put(t, path, was, true)
	cmd := another(t, "map", d.Dir())
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	lost := loss(t, d, false)
	if lost.Bytes != 512 || lost.Files != 1 { // the sector that "before" stands in
		t.Errorf("lost %+v", lost)
	}
	has(t, path, was)
	_, err := io.WriteString(in, "\n")
	if ended := cmd.Wait(); err != nil || ended == nil {
		t.Errorf("its sync of a file of before the power loss succeeds: %v, %v", err, ended)
	}
	has(t, path, was)
	loss(t, d, true)
	has(t, path, was)
}

// TestADiskIsMountedWhereADeadRigHasLeftOne mounts, dies, and mounts again.
func TestADiskIsMountedWhereADeadRigHasLeftOne(t *testing.T) {
	mount(t, disk.Config{}) // or skip
	dir := t.TempDir()
	if out, err := another(t, "die", dir).CombinedOutput(); err == nil || len(out) > 0 {
		t.Fatalf("it was to die: %v, %s", err, out)
	}
	if _, err := os.ReadDir(dir); err == nil {
		t.Error("the mount of the dead one answers")
	}
	d, err := disk.Mount(dir, disk.Config{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "f"), []byte("x"), false)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	has(t, filepath.Join(dir, "f"), nil) // the directory below is as it was
}
