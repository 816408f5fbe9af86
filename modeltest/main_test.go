package modeltest_test

import (
	"flag"
	"testing"

	"github.com/stint-go/stint/internal/leaktest"
)

// TestMain tries fewer sequences than rapid would: -rapid.checks=1000 tries
// more.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("30")
	}
	leaktest.Main(m)
}
