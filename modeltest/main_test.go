package modeltest_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain tries fewer sequences than rapid would: -rapid.checks=1000 tries
// more.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("30")
	}
	os.Exit(m.Run())
}
