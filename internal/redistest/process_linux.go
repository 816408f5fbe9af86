package redistest

import (
	"os/exec"
	"syscall"
)

// dieWithParent has Linux kill the server when the test process is gone, as
// after a panic.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
