//go:build !linux

package redistest

import "os/exec"

// dieWithParent does nothing: only Linux can. A server outlives a test process
// that is killed.
func dieWithParent(*exec.Cmd) {}
