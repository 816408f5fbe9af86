package leaktest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// It sees a goroutine that is left, and waits for one that is about to end.
func TestLeft(t *testing.T) { //nolint:paralleltest // others would be seen
	require.Empty(t, leaktest.Left(time.Second))
	end, ended := make(chan struct{}), make(chan struct{})
	go blocked(end, ended)
	left := leaktest.Left(0)
	require.Len(t, left, 1)
	require.Contains(t, left[0], "TestLeft")
	close(end)
	require.Empty(t, leaktest.Left(time.Minute))
	<-ended
}

func blocked(end <-chan struct{}, ended chan<- struct{}) {
	<-end
	close(ended)
}
