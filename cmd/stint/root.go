package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/embedded"
)

// streams are standard input, output and error.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// app is what all commands share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) string
	redis, name    string // flags
	out            output
	rdb            redis.UniversalClient
}

// run is the program: it answers the exit code.
func run(ctx context.Context, args []string, std streams, env func(string) string) int {
	a := &app{stdin: std.in, stdout: std.out, stderr: std.err, env: env}
	root := a.root() //nolint:contextcheck // commands are given ctx when they run
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	err := root.ExecuteContext(ctx)
	if a.rdb != nil {
		_ = a.rdb.Close()
	}
	if err != nil {
		report(std.err, err)
	}
	return codeOf(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "stint",
		Short: "Look at the queues of a Redis and steer their jobs",
		Long: `stint looks at the queues of a Redis and steers their jobs.

It needs the Redis, by --redis or the variable REDIS_URL, and for most commands a queue, by --queue or STINT_QUEUE:

  redis://user:password@host:6379/0           one server
  rediss://host:6380                          the same by TLS
  redis+sentinel://host:26379?master_name=m   the master that Sentinels name; more of them: &addr=host2:26379
  redis+cluster://host:6379?addr=host2:6379   a Cluster

` + exitHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          usage(cobra.NoArgs),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &coded{exitUsage, err} })
	root.PersistentFlags().StringVar(&a.redis, "redis", "", "URL of the Redis (REDIS_URL; redis://127.0.0.1:6379)")
	root.PersistentFlags().StringVarP(&a.name, "queue", "q", "", "name of the queue (STINT_QUEUE)")
	_ = root.RegisterFlagCompletionFunc("queue", a.completeQueues) // fails for an unknown flag only
	root.AddGroup(&cobra.Group{ID: "read", Title: "Look:"}, &cobra.Group{ID: "steer", Title: "Steer:"}, &cobra.Group{ID: "operate", Title: "Operate:"})
	add := func(group string, all ...*cobra.Command) {
		for _, c := range all {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("read", a.jobsCommand(), a.getCommand(), a.describeCommand(), a.explainCommand(), a.logsCommand(), a.watchCommand(), a.waitCommand(),
		a.queuesCommand(), a.workersCommand(), a.topCommand())
	add("steer", a.submitCommand(), a.applyCommand(), a.suspendCommand(), a.resumeCommand(), a.scaleCommand(), a.retryCommand(),
		a.deleteCommand(), a.evictCommand(), a.cronCommand())
	add("operate", a.auditCommand(), a.doctorCommand(), a.aclCommand(), a.dashboardCommand())
	return root
}

// usage has wrong arguments end with the exit code for that.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return fail(exitUsage, "%w; see stint help %s", err, c.Name())
		}
		return nil
	}
}

// client connects to the Redis, at the first use.
func (a *app) client() (redis.UniversalClient, error) {
	if a.rdb != nil {
		return a.rdb, nil
	}
	address := cmp.Or(a.redis, a.env("REDIS_URL"), "redis://127.0.0.1:6379")
	rdb, err := embedded.Connect(address)
	if err != nil {
		return nil, fail(exitUsage, "--redis: %w", err)
	}
	a.rdb = rdb
	return rdb, nil
}

// queue is the queue that is meant.
func (a *app) queue() (*stint.Queue, error) {
	name := cmp.Or(a.name, a.env("STINT_QUEUE"))
	if name == "" {
		return nil, fail(exitUsage, "no queue: give --queue or set STINT_QUEUE; stint queues lists those that there are")
	}
	return a.queueNamed(name)
}

func (a *app) queueNamed(name string) (*stint.Queue, error) {
	rdb, err := a.client()
	if err != nil {
		return nil, err
	}
	keys, err := keysOf(a.env("STINT_KEYS"))
	if err != nil {
		return nil, err
	}
	// Who has keys encrypts. Workers read what is encrypted by their keys, also
	// where the queue's own jobs are plain.
	return stint.NewQueue(name, rdb, stint.QueueConfig{Keys: keys, EncryptJobs: len(keys) > 0, AcceptPlain: true}), nil
}

// keysOf reads keys as ID:BASE64, parted by commas. Errors do not show them.
func keysOf(text string) (keys []stint.Key, err error) {
	if text == "" {
		return nil, nil
	}
	for i, one := range strings.Split(text, ",") {
		id, secret, _ := strings.Cut(strings.TrimSpace(one), ":")
		data, err := base64.StdEncoding.DecodeString(secret)
		if err != nil || id == "" || len(data) == 0 {
			return nil, fail(exitUsage, "STINT_KEYS: key %d must be ID:BASE64 of 32 bytes", i+1)
		}
		keys = append(keys, stint.Key{ID: id, Secret: stint.NewSecretValue(data)})
	}
	return keys, nil
}

// now is the time of the Redis, by which ages are told.
func (a *app) now(ctx context.Context) (time.Time, error) {
	rdb, err := a.client()
	if err != nil {
		return time.Time{}, err
	}
	return rdb.Time(ctx).Result()
}

// onQueue makes the body of a command of one queue.
func (a *app) onQueue(do func(ctx context.Context, q *stint.Queue, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if err := a.out.validate(); err != nil {
			return err
		}
		q, err := a.queue()
		if err != nil {
			return err
		}
		return do(c.Context(), q, args)
	}
}

// withTimeout bounds a wait; 0 is no bound.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d, fail(exitTimeout, "timed out after %v", d))
}

// because gives an error of an ended context its cause.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return context.Cause(ctx)
	}
	return err
}

// isTerminal tells whether a stream is one.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (a *app) printf(format string, v ...any) { _, _ = fmt.Fprintf(a.stdout, format, v...) }
func (a *app) notef(format string, v ...any)  { _, _ = fmt.Fprintf(a.stderr, format, v...) }
