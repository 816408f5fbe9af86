// Command stint looks at the queues of a Redis and steers their jobs. See
// docs/cli.md, or stint help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	redis.SetLogger(silent{}) // what it has to say comes back as errors
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}, os.Getenv)
	stop()
	os.Exit(code)
}

// silent is a logger of go-redis's.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
