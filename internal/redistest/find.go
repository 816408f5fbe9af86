package redistest

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// serverVar names the server to test with, by name or by path.
const serverVar = "STINT_REDIS_SERVER"

// howTo tells what to do when there is no server.
const howTo = "install redis-server, name one in " + serverVar + ", or run `make test`, which installs one"

// binary finds the server that tests start. Without one a test is skipped,
// but not in CI, where it must not pass for the lack of a server.
func binary(t testing.TB) string {
	t.Helper()
	path, err := find(os.Getenv, exec.LookPath)
	switch {
	case err == nil:
		return path
	case required(os.Getenv):
		t.Fatalf("%v: %s", err, howTo)
	default:
		t.Skipf("SKIPPED, NOT TESTED: %v: %s", err, howTo)
	}
	return ""
}

// find finds the server: the one that is named, or else redis-server, or else
// valkey-server.
func find(getenv func(string) string, lookPath func(string) (string, error)) (string, error) {
	if name := getenv(serverVar); name != "" {
		path, err := lookPath(name)
		if err != nil {
			return "", fmt.Errorf("%s: %w", serverVar, err)
		}
		return path, nil
	}
	path, err := lookPath("redis-server")
	if err == nil {
		return path, nil
	}
	if path, verr := lookPath("valkey-server"); verr == nil {
		return path, nil
	}
	return "", err
}

// required tells whether tests must have a real server.
func required(getenv func(string) string) bool {
	for _, name := range []string{"CI", "STINT_REQUIRE_REDIS"} {
		if v := getenv(name); v != "" && v != "0" && v != "false" {
			return true
		}
	}
	return false
}
