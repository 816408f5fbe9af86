package stint_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// aKey makes a key of its ID.
func aKey(id string) stint.Key {
	return stint.Key{ID: id, Secret: stint.NewSecretValue((id + strings.Repeat("-", 32))[:32])}
}

// withKeys is q with keys.
func withKeys(q *stint.Queue, rdb redis.UniversalClient, cfg stint.QueueConfig, ids ...string) *stint.Queue {
	for _, id := range ids {
		cfg.Keys = append(cfg.Keys, aKey(id))
	}
	return stint.NewQueue(q.Name(), rdb, cfg)
}

func secretOf(name, key, value string) stint.Secret {
	return stint.Secret{Name: name, Data: map[string]stint.SecretValue{key: stint.NewSecretValue(value)}}
}

func TestConfigMapsAreVersioned(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		_, err := q.GetConfigMap(ctx, "app")
		require.ErrorIs(t, err, stint.ErrNotFound)
		first, err := q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "app", Labels: map[string]string{"a": "b"}, Data: map[string]string{"level": "info"}})
		require.NoError(t, err)
		require.NotEmpty(t, first.ResourceVersion)
		read, err := q.GetConfigMap(ctx, "app")
		require.NoError(t, err)
		require.Equal(t, first, read)

		same, err := q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "app", Labels: map[string]string{"a": "b"}, Data: map[string]string{"level": "info"}})
		require.NoError(t, err)
		require.Equal(t, first, same, "the same again changes nothing")

		second := *first
		second.Data = map[string]string{"level": "debug"}
		changed, err := q.ApplyConfigMap(ctx, second)
		require.NoError(t, err)
		require.NotEqual(t, first.ResourceVersion, changed.ResourceVersion)
		require.Equal(t, first.UID, changed.UID)
		_, err = q.ApplyConfigMap(ctx, second)
		require.ErrorIs(t, err, stint.ErrConflict, "it names the version before")
		read, err = q.GetConfigMap(ctx, "app")
		require.NoError(t, err)
		require.Equal(t, "debug", read.Data["level"])

		require.NoError(t, q.DeleteConfigMap(ctx, "app"))
		require.ErrorIs(t, q.DeleteConfigMap(ctx, "app"), stint.ErrNotFound)
		_, err = q.ApplyConfigMap(ctx, *changed)
		require.ErrorIs(t, err, stint.ErrNotFound, "it names a version, and there is none")
	})
}

func TestImmutableConfigMap(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		c := stint.ConfigMap{Name: "app", Data: map[string]string{"a": "1"}, Immutable: true}
		_, err := q.ApplyConfigMap(ctx, c)
		require.NoError(t, err)
		c.Labels = map[string]string{"may": "change"}
		_, err = q.ApplyConfigMap(ctx, c)
		require.NoError(t, err)
		var bad *stint.InvalidError
		c.Data, c.Immutable = map[string]string{"a": "2"}, false
		_, err = q.ApplyConfigMap(ctx, c)
		require.ErrorAs(t, err, &bad)
		require.Len(t, bad.Fields, 2)
		require.NoError(t, q.DeleteConfigMap(ctx, "app"))
	})
}

func TestObjectsAreListedInPages(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		q = withKeys(q, rdb, stint.QueueConfig{}, "k1")
		var want []string
		for i := range 45 {
			name := fmt.Sprintf("c-%02d", i)
			_, err := q.ApplyConfigMap(ctx, stint.ConfigMap{Name: name})
			require.NoError(t, err)
			want = append(want, name)
		}
		_, err := q.ApplySecret(ctx, secretOf("s", "password", "hush"))
		require.NoError(t, err)
		var got []string
		for c, err := range q.ListConfigMaps(ctx) {
			require.NoError(t, err)
			got = append(got, c.Name)
		}
		require.Equal(t, want, got)
		keyless := stint.NewQueue(q.Name(), rdb)
		n := 0
		for s, err := range keyless.ListSecrets(ctx) {
			require.NoError(t, err)
			n++
			require.Equal(t, []string{"password"}, s.Keys)
			require.Empty(t, s.Data)
			require.Equal(t, stint.DefaultSecretType, s.Type)
		}
		require.Equal(t, 1, n)
	})
}

func TestBadObjectsAreRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		for field, c := range map[string]stint.ConfigMap{
			"metadata.name":   {Name: "No_Name"},
			"data":            {Name: "a", Data: map[string]string{"..bad": "x"}},
			"data[k]":         {Name: "a", Data: map[string]string{"k": "\xff"}},
			"metadata.labels": {Name: "a", Labels: map[string]string{"no/label/this": ""}},
		} {
			_, err := q.ApplyConfigMap(ctx, c)
			requireField(t, err, field)
		}
		_, err := q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "a", Data: map[string]string{"k": strings.Repeat("x", stint.MaxObjectBytes)}})
		requireField(t, err, "data")
		_, err = q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "a", Data: map[string]string{"k": strings.Repeat("x", stint.MaxObjectBytes-1)}})
		require.NoError(t, err)
		_, err = q.ApplySecret(ctx, secretOf("s", "password", "hush"))
		require.ErrorIs(t, err, stint.ErrNoKeys)
		q = withKeys(q, rdb, stint.QueueConfig{}, "k1")
		_, err = q.ApplySecret(ctx, secretOf("s", "pass word", "hush"))
		requireField(t, err, "data")
		require.NotContains(t, err.Error(), "hush")
		_, err = q.ApplySecret(ctx, secretOf("s", "k", strings.Repeat("\x00", stint.MaxObjectBytes-1)))
		require.NoError(t, err)
		for _, cfg := range []stint.QueueConfig{
			{EncryptJobs: true}, {Keys: []stint.Key{{ID: "k", Secret: stint.NewSecretValue("short")}}}, {Keys: []stint.Key{aKey("k"), aKey("k")}},
		} {
			var bad *stint.InvalidError
			_, err = stint.NewQueue("q", rdb, cfg).Submit(ctx, work{})
			require.ErrorAs(t, err, &bad)
			require.NotContains(t, err.Error(), "short")
		}
	})
}

func requireField(t *testing.T, err error, field string) {
	t.Helper()
	var bad *stint.InvalidError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, field, bad.Fields[0].Field)
}

func TestSecretsRotate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		old, both, fresh := withKeys(q, rdb, stint.QueueConfig{}, "k1"), withKeys(q, rdb, stint.QueueConfig{}, "k2", "k1"), withKeys(q, rdb, stint.QueueConfig{}, "k2")
		for i := range 25 {
			s := secretOf(fmt.Sprintf("s-%02d", i), "password", fmt.Sprint("hush", i))
			s.Immutable = i%2 == 0
			_, err := old.ApplySecret(ctx, s)
			require.NoError(t, err)
		}
		_, err := fresh.GetSecret(ctx, "s-00")
		require.ErrorIs(t, err, stint.ErrUnknownKey)
		require.ErrorContains(t, err, "k1")
		n, last := 0, ""
		for r, err := range both.RotateSecrets(ctx, "") {
			require.NoError(t, err)
			require.True(t, r.Changed)
			if n++; n == 10 {
				last = r.Continue
				break
			}
		}
		for r, err := range both.RotateSecrets(ctx, last) {
			require.NoError(t, err)
			require.True(t, r.Changed)
			n++
		}
		require.Equal(t, 25, n)
		for i := range 25 {
			s, err := fresh.GetSecret(ctx, fmt.Sprintf("s-%02d", i))
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint("hush", i), s.Value("password"))
		}
		for r, err := range both.RotateSecrets(ctx, "") {
			require.NoError(t, err)
			require.False(t, r.Changed)
		}
		for r, err := range withKeys(q, rdb, stint.QueueConfig{}, "k3").RotateSecrets(ctx, "s-23") {
			require.Equal(t, "s-24", r.Secret)
			require.ErrorIs(t, err, stint.ErrUnknownKey)
		}
		for _, err := range q.RotateSecrets(ctx, "") {
			require.ErrorIs(t, err, stint.ErrNoKeys)
		}
	})
}

// What somebody else writes to Redis is not taken for a secret's value.
func TestSecretsDoNotOpenElsewhere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		q = withKeys(q, rdb, stint.QueueConfig{}, "k1")
		_, err := q.ApplySecret(ctx, stint.Secret{Name: "a", Data: map[string]stint.SecretValue{
			"user": stint.NewSecretValue("bob"), "password": stint.NewSecretValue("hush"),
		}})
		require.NoError(t, err)
		key := "stint:{promises}:object:secret/"
		data, err := rdb.HGet(ctx, key+"a", "d").Result()
		require.NoError(t, err)
		require.NotContains(t, data, "hush")

		require.NoError(t, rdb.HSet(ctx, key+"b", "v", "1-1", "d", data).Err())
		_, err = q.GetSecret(ctx, "b")
		require.ErrorIs(t, err, stint.ErrTampered)

		var record map[string]any
		require.NoError(t, json.Unmarshal([]byte(data), &record))
		sealed, ok := record["sealed"].(map[string]any)
		require.True(t, ok)
		sealed["user"], sealed["password"] = sealed["password"], sealed["user"]
		swapped, err := json.Marshal(record)
		require.NoError(t, err)
		require.NoError(t, rdb.HSet(ctx, key+"a", "d", swapped).Err())
		_, err = q.GetSecret(ctx, "a")
		require.ErrorIs(t, err, stint.ErrTampered)

		sealed["user"] = []byte("bob")
		plain, err := json.Marshal(record)
		require.NoError(t, err)
		require.NoError(t, rdb.HSet(ctx, key+"c", "v", "1-1", "d", plain).Err())
		_, err = q.GetSecret(ctx, "c")
		require.Error(t, err)

		require.NoError(t, rdb.HSet(ctx, key+"d", "v", "1-1", "d", "{hush").Err())
		_, err = q.GetSecret(ctx, "d")
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hush")

		other := stint.NewQueue(q.Name(), rdb, stint.QueueConfig{Keys: []stint.Key{{ID: "k1", Secret: aKey("other").Secret}}})
		_, err = other.GetSecret(ctx, "a")
		require.ErrorIs(t, err, stint.ErrTampered, "another key of the same ID")
		require.NoError(t, rdb.Del(ctx, key+"b", key+"c", key+"d").Err())
	})
}

// Nobody reads a secret where it was not asked for.
func TestSecretsDoNotLeak(t *testing.T) {
	t.Parallel()
	const marker = "xyzzy-marker"
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		var logs bytes.Buffer
		log := slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		cfg := stint.QueueConfig{EncryptJobs: true, Logger: log}
		cfg.Keys = []stint.Key{{ID: "k1", Secret: stint.NewSecretValue((marker + strings.Repeat("k", 32))[:32])}}
		q = stint.NewQueue(q.Name(), rdb, cfg)
		applied, err := q.ApplySecret(ctx, secretOf("db", "password", marker))
		require.NoError(t, err)
		seen := make(chan string, 1)
		w := stint.NewWorker(q, stint.WorkerConfig{Logger: log})
		stint.Handle(w, func(_ context.Context, task *stint.Task[named]) error {
			s, err := task.Secret("db")
			if err != nil {
				return err
			}
			task.Logger().Info("it", "secret", s, "value", s.Data["password"], "all", s.Data, "task", fmt.Sprintf("%+v", task.RawTask))
			if task.Attempt == 1 {
				return fmt.Errorf("no luck with %v %+v %#v %x %d %q", s, *s, s.Data, s.Data["password"], s.Data["password"], s.Data["password"])
			}
			seen <- s.Value("password")
			return task.SetResult(marker)
		})
		stop := startWorker(t, w)
		job, err := q.Submit(ctx, named{marker}, stint.JobSpec{Backoff: quick(), Mounts: []stint.Mount{{Secret: "db"}}})
		require.NoError(t, err)
		require.Equal(t, marker, <-seen)
		result, err := stint.Await[string](ctx, q, job.Name)
		require.NoError(t, err)
		require.Equal(t, marker, result)
		stop()

		var out strings.Builder
		for _, v := range []any{applied, *applied, applied.Data, applied.Data["password"], cfg, cfg.Keys, q} {
			_, _ = fmt.Fprintf(&out, "%v %+v %#v %s\n", v, v, v, v)
			data, _ := json.Marshal(v)
			out.Write(data)
		}
		for s, err := range q.ListSecrets(ctx) {
			require.NoError(t, err)
			_, _ = fmt.Fprintf(&out, "%+v", s)
		}
		for e, err := range q.Errors(ctx, job.Name) {
			require.NoError(t, err)
			require.Contains(t, e.Message, "redacted")
			out.WriteString(e.Message)
		}
		require.NotContains(t, out.String(), marker)
		require.Contains(t, logs.String(), "redacted")
		require.NotContains(t, logs.String(), marker)
		require.NotContains(t, everything(t, ctx, rdb), marker)
	})
}

type named struct{ Name string }

func (named) Kind() string { return "named" }

// everything is all that Redis holds, as text.
func everything(t *testing.T, ctx context.Context, rdb redis.UniversalClient) string {
	t.Helper()
	var out strings.Builder
	for _, key := range keysOf(t, rdb) {
		kind, err := rdb.Type(ctx, key).Result()
		require.NoError(t, err)
		var v any
		switch kind {
		case "hash":
			v, err = rdb.HGetAll(ctx, key).Result()
		case "stream":
			v, err = rdb.XRange(ctx, key, "-", "+").Result()
		case "zset":
			v, err = rdb.ZRange(ctx, key, 0, -1).Result()
		case "set":
			v, err = rdb.SMembers(ctx, key).Result()
		case "list":
			v, err = rdb.LRange(ctx, key, 0, -1).Result()
		default:
			v, err = rdb.Get(ctx, key).Result()
		}
		if errors.Is(err, redis.Nil) {
			continue // it has gone since it was listed
		}
		require.NoError(t, err, key)
		_, _ = fmt.Fprintf(&out, "%s %v\n", key, v)
	}
	return out.String()
}
