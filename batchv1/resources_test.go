package batchv1_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batchv1"
)

// containers is a job with a container for each of these resources.
func containers(resources ...string) []byte {
	all := make([]string, len(resources))
	for i, r := range resources {
		all[i] = fmt.Sprintf(`{"name": "c%d", "resources": {%s}}`, i, r)
	}
	all[0] = strings.Replace(all[0], "c0", "handler", 1)
	return fmt.Appendf(nil, `{"apiVersion": "batch/v1", "kind": "Job",
		"metadata": {"name": "j", "annotations": {"stint.dev/kind": "k"}},
		"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [%s]}}}}`, strings.Join(all, ","))
}

func TestResourcesAreRead(t *testing.T) {
	t.Parallel()
	type list = stint.ResourceList
	for _, c := range []struct {
		containers []string
		want       stint.Resources
	}{
		{[]string{``}, stint.Resources{}},
		{[]string{`"requests": {}`}, stint.Resources{}},
		{[]string{`"requests": {"cpu": 2, "memory": "0.5Gi"}`}, stint.Resources{Requests: list{"cpu": "2", "memory": "0.5Gi"}}},
		{[]string{`"limits": {"cpu": 0.5}`}, stint.Resources{Limits: list{"cpu": "0.5"}}},
		{ // a limit is one of the pod where each container has it
			[]string{`"limits": {"cpu": "500m", "memory": "1Gi"}`, `"requests": {"cpu": "250m"}, "limits": {"cpu": 1}`},
			stint.Resources{Requests: list{"cpu": "750m", "memory": "1Gi"}, Limits: list{"cpu": "1500m"}},
		},
		{
			[]string{`"limits": {"example.com/gpu": 1}`, ``},
			stint.Resources{Requests: list{"example.com/gpu": "1"}, Limits: list{"example.com/gpu": "1"}},
		},
	} {
		data := containers(c.containers...)
		got, _, err := batchv1.DecodeJob(data)
		require.NoError(t, err)
		require.Equal(t, c.want, got.Spec.Resources, "%s", data)
		written, err := batchv1.EncodeYAML(batchv1.Object{Job: &got})
		require.NoError(t, err)
		again, _, err := batchv1.DecodeJob(written)
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
}

func TestResourcesThatAreNot(t *testing.T) {
	t.Parallel()
	const path = "spec.template.spec.containers[0].resources"
	require.Equal(t, []string{
		path + ".requests[ephemeral-storage]: has no meaning here",
		path + ".claims: has no meaning here",
	}, warnings(t, containers(`"requests": {"ephemeral-storage": "1Gi"}, "claims": []`)))
	for resources, want := range map[string]string{
		`"requests": {"cpu": "lots"}`:                        path + ".requests[cpu]",
		`"requests": {"cpu": true}`:                          path + ".requests[cpu]",
		`"limits": {"gpu": 1}`:                               path + ".limits[gpu]",
		`"limits": {"cpu": 1}, "requests": {"cpu": "1001m"}`: path + ".requests",
		`"limits": {"a.b/c": 2}, "requests": {"a.b/c": 1}`:   path + ".requests",
		`"limits": {"memory": "9E"}}}, {"name": "x", "resources": {"limits": {"memory": "9E"}`: "",
	} {
		_, _, err := batchv1.DecodeJob(containers(resources))
		if want == "" {
			require.NoError(t, err, "what is too large together is the larger: no worker has it")
			continue
		}
		require.ErrorContains(t, err, want, resources)
	}
}
