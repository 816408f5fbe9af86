package modeltest_test

import (
	"flag"
	"testing"

	"github.com/stint-go/stint/internal/leaktest"
)

// TestMain tries fewer sequences than rapid would, and the same ones each
// time: -rapid.checks=1000 tries more, -rapid.seed=N others.
func TestMain(m *testing.M) {
	flag.Parse()
	for name, value := range map[string]string{"rapid.checks": "30", "rapid.seed": "1"} {
		if f := flag.Lookup(name); f.Value.String() == f.DefValue {
			_ = f.Value.Set(value)
		}
	}
	leaktest.Main(m)
}
