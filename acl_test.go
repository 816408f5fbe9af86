package stint_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// aclServer is a server on which every role has a user of its name, for the
// queue "media".
func aclServer(t *testing.T, start func(...string) *redistest.Server) (as func(stint.Role) redis.UniversalClient, admin redis.UniversalClient) {
	t.Helper()
	s := start("--enable-debug-command", "yes")
	admin = s.Client()
	info, err := admin.Info(t.Context(), "server").Result()
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^(valkey|redis)_version:.*$`).FindAllString(info, -1)
	for _, role := range stint.Roles() {
		rules, err := stint.ACL(role, "media", version[len(version)-1])
		require.NoError(t, err)
		args := []any{"ACL", "SETUSER", string(role), "on", ">secret"}
		for _, r := range rules {
			args = append(args, r)
		}
		require.NoError(t, admin.Do(t.Context(), args...).Err(), rules)
	}
	return func(r stint.Role) redis.UniversalClient {
		return s.Client(func(o *redis.Options) { o.Username, o.Password, o.ClientName = string(r), "secret", "app" })
	}, admin
}

// Each role can do what it is for, on every server, by rules made for it.
func TestACLRolesCanWork(t *testing.T) {
	t.Parallel()
	redistest.EachServer(t, func(t *testing.T, start func(...string) *redistest.Server) {
		as, admin := aclServer(t, start)
		ctx := testCtx(t)
		queue := func(r stint.Role) *stint.Queue { return stint.NewQueue("media", as(r)) }

		producer, operator, observer := queue(stint.RoleProducer), queue(stint.RoleOperator), queue(stint.RoleObserver)
		w := stint.NewWorker(queue(stint.RoleWorker), stint.WorkerConfig{Lease: time.Second})
		stint.HandleResult(w, func(ctx context.Context, task *stint.Task[work]) (int, error) {
			if err := errors.Join(task.SaveCheckpoint(ctx, 1), task.Progress(ctx, 1, 1, "n")); err != nil {
				return 0, err
			}
			if task.Args.N == 2 {
				<-ctx.Done()
				return 0, context.Cause(ctx)
			}
			if task.Attempt == 1 {
				return 0, errors.New("again")
			}
			return 7, nil
		})
		startWorker(t, w)

		plain, err := producer.Submit(ctx, work{1}, stint.JobSpec{Backoff: quick()})
		require.NoError(t, err)
		n, err := stint.Await[int](ctx, producer, plain.Name)
		require.NoError(t, err)
		require.Equal(t, 7, n)
		for _, spec := range []stint.JobSpec{
			{Name: "delayed", Delay: time.Millisecond},
			{Name: "empty", Completions: new(0), TTLAfterFinished: new(time.Duration(0))},
			{Name: "suspended", Suspend: true},
			{Name: "big", CompletionMode: stint.Indexed, Completions: new(20), Parallelism: new(5)},
		} {
			spec.Backoff, spec.BackoffLimit = quick(), new(100)
			_, err := producer.Submit(ctx, work{1}, spec)
			require.NoError(t, err, spec.Name)
		}
		for _, name := range []string{"delayed", "big"} {
			got, err := producer.Wait(ctx, name)
			require.NoError(t, err)
			require.Equal(t, stint.PhaseComplete, got.Phase())
		}
		_, err = producer.SubmitMany(ctx, []stint.NewJob{{Args: work{1}, Spec: stint.JobSpec{Backoff: quick()}}, {Args: work{2}, Spec: stint.JobSpec{Name: "held"}}})
		require.NoError(t, err)
		operate(t, ctx, operator)
		observe(t, ctx, observer, as(stint.RoleObserver))
		health, err := w.Health(ctx)
		require.NoError(t, err, "%+v", health)
		denied, err := admin.Do(ctx, "ACL", "LOG").Slice()
		require.NoError(t, err)
		for _, d := range denied { // what is refused to an observer who waits is no harm
			require.Contains(t, strings.ToLower(str(d)), "observer", "%v", d)
		}
	})
}

func str(v any) string {
	switch v := v.(type) {
	case map[any]any:
		s, _ := v["username"].(string)
		return s
	case []any:
		for i := 0; i+1 < len(v); i += 2 {
			if v[i] == "username" {
				s, _ := v[i+1].(string)
				return s
			}
		}
	}
	return ""
}

// operate does every verb of an operator.
func operate(t *testing.T, ctx context.Context, q *stint.Queue) {
	t.Helper()
	require.Eventually(t, func() bool {
		j, err := q.Get(ctx, "held")
		return err == nil && j.Status.Ready == 1
	}, within, time.Millisecond)
	require.NoError(t, q.Evict(ctx, "held", 0))
	_, err := q.Suspend(ctx, "held")
	require.NoError(t, err)
	_, err = q.Resume(ctx, "suspended")
	require.NoError(t, err)
	_, err = q.Wait(ctx, "suspended")
	require.NoError(t, err)
	_, err = q.Retry(ctx, "big", "3-5")
	require.NoError(t, err)
	_, err = q.Scale(ctx, "big", 2)
	require.NoError(t, err)
	_, err = q.Wait(ctx, "big")
	require.NoError(t, err)
	_, err = q.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "@every 1s", Args: work{1}, Job: stint.JobSpec{Backoff: quick()}})
	require.NoError(t, err)
	_, err = q.RunCron(ctx, "c")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		c, err := q.GetCron(ctx, "c")
		return err == nil && !c.Status.LastSuccessfulTime.IsZero()
	}, within, 10*time.Millisecond)
	c, err := q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "app"})
	require.NoError(t, err)
	_, err = q.Submit(ctx, work{1}, stint.JobSpec{Name: "mounting", Backoff: quick(), Mounts: []stint.Mount{{ConfigMap: "app"}, {ConfigMap: "late"}}})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		why, err := q.Explain(ctx, "mounting")
		return err == nil && why.Reasons[0].Code == stint.WhyMissingMount
	}, within, 10*time.Millisecond)
	_, err = q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "late"})
	require.NoError(t, err)
	_, err = q.Wait(ctx, "mounting")
	require.NoError(t, err)
	require.NoError(t, q.DeleteConfigMap(ctx, c.Name))
	_, err = q.SuspendCron(ctx, "c")
	require.NoError(t, err)
	require.NoError(t, q.DeleteCron(ctx, "c"))
	for o, err := range q.DeleteAll(ctx, stint.ListOptions{}) {
		require.NoError(t, err, "%+v", o.Job)
	}
	_, err = q.Submit(ctx, other{}, stint.JobSpec{}) // which nobody takes
	require.NoError(t, err)
	_, err = q.Submit(ctx, work{1}, stint.JobSpec{Name: "seen", Backoff: quick()})
	require.NoError(t, err)
}

// observe does every verb of an observer.
func observe(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
	t.Helper()
	j, err := q.Wait(ctx, "seen")
	require.NoError(t, err)
	require.Equal(t, stint.PhaseComplete, j.Phase())
	n, err := stint.Await[int](ctx, q, "seen")
	require.NoError(t, err)
	require.Equal(t, 7, n)
	n, err = q.Count(ctx, stint.ListOptions{Kind: other{}.Kind()})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	for _, err := range q.List(ctx, stint.ListOptions{}) {
		require.NoError(t, err)
	}
	for _, err := range q.Errors(ctx, "seen") {
		require.NoError(t, err)
	}
	for _, err := range q.Progress(ctx, "seen") {
		require.NoError(t, err)
	}
	for _, err := range stint.Results[int](ctx, q, "seen") {
		require.NoError(t, err)
	}
	for _, err := range q.ListCron(ctx) {
		require.NoError(t, err)
	}
	for _, err := range q.Watch(ctx, stint.WatchOptions{From: "0"}) {
		require.NoError(t, err)
		break
	}
	for c, err := range q.ListConfigMaps(ctx) {
		require.NoError(t, err)
		_, err = q.GetConfigMap(ctx, c.Name)
		require.NoError(t, err)
	}
	_, err = q.Explain(ctx, "seen")
	require.NoError(t, err)
	_, err = q.Tasks(ctx, "seen")
	require.NoError(t, err)
	_, err = q.Workers(ctx)
	require.NoError(t, err)
	_, err = q.Kinds(ctx)
	require.NoError(t, err)
	_, err = q.Stats(ctx, time.Now().Add(-time.Hour), time.Now())
	require.NoError(t, err)
	_, err = q.Events(ctx, "seen")
	require.NoError(t, err)
	_, err = q.Health(ctx)
	require.NoError(t, err)
}

// What a role is not for is refused, by the server: other verbs, other keys,
// other commands, in scripts too.
func TestACLRolesAreConfined(t *testing.T) {
	t.Parallel()
	redistest.EachServer(t, func(t *testing.T, start func(...string) *redistest.Server) {
		as, admin := aclServer(t, start)
		ctx := testCtx(t)
		_, err := stint.NewQueue("media", admin).Submit(ctx, work{1}, stint.JobSpec{Name: "victim", Suspend: true})
		require.NoError(t, err)
		_, err = stint.NewQueue("other", admin).Submit(ctx, work{1}, stint.JobSpec{Name: "secret", Suspend: true})
		require.NoError(t, err)
		require.NoError(t, admin.Set(ctx, "else", 1, 0).Err())
		refused := func(err error, what string, role stint.Role) {
			t.Helper()
			require.ErrorContains(t, err, "NOPERM", "%s: %s", role, what)
		}
		for _, role := range stint.Roles() {
			rdb := as(role)
			mine, other := stint.NewQueue("media", rdb), stint.NewQueue("other", rdb)
			_, err := other.Get(ctx, "secret")
			refused(err, "reads another queue", role)
			_, err = other.Submit(ctx, work{1})
			refused(err, "submits to another queue", role)
			for _, command := range []string{
				"flushall", "flushdb", "config get *", "config set maxmemory 1", "debug sleep 0", "keys *", "scan 0", "script flush", "script kill",
				"function list", "shutdown nosave", "replicaof no one", "client list", "client kill 1.2.3.4:5", "acl whoami", "acl list",
				"migrate 127.0.0.1 1 else 0 1", "restore else 0 x", "dump else", "monitor", "save", "bgsave", "cluster reset", "get else", "set else 2",
				"publish c m", "subscribe c", "rename else e", "swapdb 0 1", "object freq else", "module list", "latency doctor", "slowlog get",
			} {
				args := []any{}
				for word := range strings.FieldsSeq(command) {
					args = append(args, word)
				}
				refused(rdb.Do(ctx, args...).Err(), command, role)
			}
			key := "stint:{media}:jobs"
			for _, script := range []string{"redis.call('FLUSHALL')", "redis.call('SET', 'else', 2)", "redis.call('GET', 'stint:{other}:jobs')"} {
				err := rdb.Eval(ctx, script, []string{key}).Err()
				require.Error(t, err, "%s: %s", role, script)
				require.True(t, strings.Contains(err.Error(), "NOPERM") || strings.Contains(err.Error(), "ermission") ||
					strings.Contains(err.Error(), "can't run this command") || strings.Contains(err.Error(), "can't access"), "%s: %s: %v", role, script, err)
			}
			at := slices.Index(stint.Roles(), role)
			if at < 1 {
				_, err = mine.Submit(ctx, work{1})
				refused(err, "submits", role)
				refused(rdb.Eval(ctx, "return 1", []string{key}).Err(), "runs a script that may write", role)
				refused(rdb.HSet(ctx, "stint:{media}:job:victim", "phase", "Complete").Err(), "writes a job", role)
			}
			if at < 2 {
				_, err = mine.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "@hourly", Args: work{1}})
				refused(err, "stores a cron job", role)
				refused(mine.Delete(ctx, "victim"), "deletes a job", role)
				refused(rdb.XAck(ctx, "stint:{media}:ready:work", "w", "1-1").Err(), "ends a task", role)
			}
			if at < 3 {
				refused(rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
					Group: "w", Consumer: "x", Streams: []string{"stint:{media}:ready:work", ">"}, Block: -1,
				}).Err(), "takes a task", role)
				refused(rdb.HSet(ctx, "stint:{media}:beats", "w", "1 1").Err(), "signs on as a worker", role)
			}
		}
		got, err := stint.NewQueue("media", admin).Get(ctx, "victim")
		require.NoError(t, err)
		require.Equal(t, stint.PhaseSuspended, got.Phase())
		require.Equal(t, "1", admin.Get(ctx, "else").Val())
	})
}

// Bad roles, patterns and versions are refused; a pattern covers its queues.
func TestACLInput(t *testing.T) {
	t.Parallel()
	for _, bad := range [][3]string{
		{"root", "media", ""},
		{"worker", "", ""},
		{"worker", "me}dia", ""},
		{"worker", "a b", ""},
		{"worker", "[ab]", ""},
		{"worker", "a\nb", ""},
		{"worker", "media", "6.2.1"},
		{"worker", "media", "new"},
	} {
		_, err := stint.ACL(stint.Role(bad[0]), bad[1], bad[2])
		var invalid *stint.InvalidError
		require.ErrorAs(t, err, &invalid, "%q", bad)
	}
	old, err := stint.ACL(stint.RoleWorker, "media-*", "7.0.15")
	require.NoError(t, err)
	require.Contains(t, old, "%R~stint:{media-*}:*")
	require.NotContains(t, old, "+client|setinfo")
	now, err := stint.ACL(stint.RoleWorker, "*", "valkey_version:8.0.1")
	require.NoError(t, err)
	require.Contains(t, now, "+waitaof")
}

var (
	luaFunction = regexp.MustCompile(`(?m)^local function (\w+)\(`)
	luaCall     = regexp.MustCompile(`redis\.p?call\('([A-Z]+)'(?:, '([A-Z]+)')?`)
	luaWord     = regexp.MustCompile(`\w+`)
)

// reached are the commands that a script may come to call, with what it uses
// of the files that several share.
func reached(t *testing.T, script string) map[string]bool {
	t.Helper()
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join("internal/store/lua", name+".lua"))
		require.NoError(t, err)
		return regexp.MustCompile(`--.*`).ReplaceAllString(string(data), "")
	}
	shared, bodies := "", map[string]string{}
	for _, name := range []string{"prelude", "record", "attempts", "sync", "putoff", "own"} {
		shared += read(name)
	}
	at := luaFunction.FindAllStringSubmatchIndex(shared, -1)
	for i, m := range at {
		end := len(shared)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		bodies[shared[m[2]:m[3]]] = shared[m[3]:end]
	}
	found, seen := map[string]bool{}, map[string]bool{}
	var walk func(body string)
	walk = func(body string) {
		for _, c := range luaCall.FindAllStringSubmatch(body, -1) {
			name := strings.ToLower(c[1])
			if name == "xgroup" {
				name += "|" + strings.ToLower(c[2])
			}
			found[name] = true
		}
		for _, word := range luaWord.FindAllString(body, -1) {
			if inner, ok := bodies[word]; ok && !seen[word] {
				seen[word] = true
				walk(inner)
			}
		}
	}
	walk(read(script))
	return found
}

// A role may call whatever its scripts may come to call: a script that is
// refused a command half-way has done half of its work.
func TestACLCoversTheScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("internal/store/lua/*.lua")
	require.NoError(t, err)
	scripts := map[stint.Role][]string{
		stint.RoleObserver: {"read", "sweep", "held", "auditjob", "auditstream", "auditlane", "auditlate", "audittimers", "auditkeys"},
		stint.RoleProducer: {"submit", "enqueue", "late"},
		stint.RoleOperator: {"adopt", "update", "delete", "evict", "retry", "cron"},
	}
	known := slices.Concat(scripts[stint.RoleObserver], scripts[stint.RoleProducer], scripts[stint.RoleOperator])
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".lua"); name != "job" && name != "putoff" && !strings.HasPrefix(name, "audit") && !slices.Contains(known, name) {
			scripts[stint.RoleWorker] = append(scripts[stint.RoleWorker], name)
		}
	}
	needed := 0
	for role, names := range scripts {
		rules, err := stint.ACL(role, "media", "")
		require.NoError(t, err)
		for _, name := range names {
			for command := range reached(t, name) {
				needed++
				require.Contains(t, rules, "+"+command, "%s calls %s in %s.lua", role, command, name)
			}
		}
	}
	require.Greater(t, needed, 100)
}
