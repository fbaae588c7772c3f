//go:build !linux

package lease

import "io/fs"

// Disruptions returns the marker of this machine's hypervisor: none.
func Disruptions() (Marker, error) { return nil, fs.ErrNotExist }
