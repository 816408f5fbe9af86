//go:build unix

package redistest

import (
	"syscall"

	"github.com/stretchr/testify/require"
)

// Pause stops the server in its tracks (SIGSTOP), as a machine that hangs:
// connections stay, new ones are made, and nothing is answered until Continue.
func (s *Server) Pause() {
	s.t.Helper()
	require.NoError(s.t, s.proc.cmd.Process.Signal(syscall.SIGSTOP))
}

// Continue lets a paused server go on with what it was sent meanwhile.
func (s *Server) Continue() {
	s.t.Helper()
	require.NoError(s.t, s.proc.cmd.Process.Signal(syscall.SIGCONT))
}
