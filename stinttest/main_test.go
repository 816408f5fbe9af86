package stinttest_test

import (
	"testing"

	"github.com/stint-go/stint/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
