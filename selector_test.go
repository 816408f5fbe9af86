package stint_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

func TestListBySelector(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		for name, labels := range map[string]map[string]string{
			"a": {"env": "dev", "tier": "web"}, "b": {"env": "qa"}, "c": {"env": "prod"}, "d": {},
		} {
			_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: name, Labels: labels})
			require.NoError(t, err)
		}
		for text, want := range map[string]int{
			"": 4, "env in (dev,qa)": 2, "env in (dev,qa),tier!=web": 1, "!env": 1, "env notin (prod)": 3,
		} {
			n := 0
			for _, err := range q.List(ctx, stint.ListOptions{Selector: text}) {
				require.NoError(t, err)
				n++
			}
			require.Equal(t, want, n, text)
		}
		_, _, err := q.ListPage(ctx, stint.ListOptions{Selector: "env in (dev"})
		var bad *stint.InvalidError
		require.ErrorAs(t, err, &bad)
	})
}
