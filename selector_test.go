package stint_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

func TestSelector(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		submitLabelled(t, ctx, q, 10)
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "bare"})
		require.NoError(t, err)
		for text, want := range map[string]int{
			"": 21, "env": 20, "!env": 1, "env=test": 10, "env==prod,n in (1,2,3)": 4, "env!=test": 11,
			"env notin (test,prod)": 1, "n=": 0,
		} {
			require.Equal(t, want, count(t, ctx, q, stint.ListOptions{Selector: text}), text)
		}
		both := stint.ListOptions{Selector: "n in (1,2)", Labels: map[string]string{"env": "test"}}
		require.Equal(t, 2, count(t, ctx, q, both), "the labels must match too")
	})
}

func TestBadSelector(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		o := stint.ListOptions{Selector: "a in (x"}
		refused := func(err error) {
			var bad *stint.InvalidError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, "selector", bad.Fields[0].Field)
			require.Contains(t, bad.Fields[0].Detail, "position 8: found the end, expected ',' or ')'")
		}
		_, err := q.Count(ctx, o)
		refused(err)
		_, _, err = q.ListPage(ctx, o)
		refused(err)
		turns := 0
		for done, err := range q.DeleteAll(ctx, o) {
			turns++
			refused(err)
			require.Nil(t, done.Job)
		}
		require.Equal(t, 1, turns)
	})
}

func TestBadContinue(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		for _, token := range []string{"jobs:x y", "past:b x", "else:", "jobs", "jobs:1"} {
			_, _, err := q.ListPage(ctx, stint.ListOptions{Continue: token})
			var bad *stint.InvalidError
			require.ErrorAs(t, err, &bad, token)
			require.Equal(t, "continue", bad.Fields[0].Field)
		}
		for _, err := range q.DeleteAll(ctx, stint.ListOptions{Continue: "now jobs:"}) {
			require.ErrorContains(t, err, "a token of this verb")
		}
	})
}
