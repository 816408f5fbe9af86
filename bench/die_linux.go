package main

import (
	"os/exec"
	"syscall"
)

// dieWithParent has Linux kill a server when the process that started it is
// gone, as after a panic.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
