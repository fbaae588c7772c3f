package lease

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// page returns a file that looks like the page of a hypervisor.
func page(t *testing.T, magic uint32, version uint16) string {
	t.Helper()
	b := make([]byte, os.Getpagesize())
	binary.LittleEndian.PutUint32(b, magic)
	binary.LittleEndian.PutUint16(b[8:], version)
	path := filepath.Join(t.TempDir(), "vmclock0")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheMarkerOfAHypervisorIsReadWithoutASystemCall(t *testing.T) {
	path := page(t, 0x4b4c4356, 1)
	marker, err := disruptions(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	last := marker()
	for i := range 3 {
		if _, err := f.WriteAt([]byte{byte(i + 1)}, 16); err != nil {
			t.Fatal(err)
		}
		now := marker()
		if now == last {
			t.Errorf("change %d is not seen", i)
		}
		last = now
	}
	if n := testing.AllocsPerRun(100, func() { marker() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWhatIsNoClockOfAHypervisorIsRefused(t *testing.T) {
	for name, path := range map[string]string{
		"another magic":   page(t, 0x4b4c4357, 1),
		"a later version": page(t, 0x4b4c4356, 2),
		"a directory":     t.TempDir(),
	} {
		if _, err := disruptions(path); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := disruptions(filepath.Join(t.TempDir(), "vmclock0")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no device: %v", err)
	}
}
