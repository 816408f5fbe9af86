package conformance

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoadTraces(t *testing.T) {
	t.Parallel()
	files, err := Load("testdata/traces")
	require.NoError(t, err)
	counts := map[string]int{}
	for _, f := range files {
		counts[f.Format] += len(f.Scenarios)
	}
	require.Equal(t, map[string]int{JobFormat: 268, CronFormat: 86}, counts)
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	scenario := func(s string) string {
		return `{"format": "stint-oracle/job/1", "scenarios": [` + s + `]}`
	}
	steps := func(s string) string {
		return scenario(`{"name": "x", "spec": {}, "steps": [` + s + `]}`)
	}
	for want, data := range map[string]string{
		`unknown format "stint-oracle/job/2"`:                     `{"format": "stint-oracle/job/2"}`,
		`unknown format ""`:                                       `{}`,
		"unexpected end of JSON input":                            `{`,
		`scenario "x" occurs twice`:                               scenario(`{"name": "x", "spec": {}}, {"name": "x", "spec": {}}`),
		`scenario "": no name`:                                    scenario(`{"spec": {}}`),
		`scenario "x": no spec`:                                   scenario(`{"name": "x"}`),
		`step 0: unknown operation "jumpTo"`:                      steps(`{"op": "jumpTo", "expect": {}}`),
		`step 1: start chooses by 0 of index, indexes, n and all`: steps(`{"op": "settle", "expect": {}}, {"op": "start", "expect": {}}`),
		`step 0: fail chooses by 2 of index, indexes, n and all`:  steps(`{"op": "fail", "n": 1, "index": 0, "expect": {}}`),
		`step 0: no expectation`:                                  steps(`{"op": "settle"}`),
		`step 0: a patch without a spec`:                          steps(`{"op": "patch", "expect": {}}`),
		`steps after a refused creation`:                          scenario(`{"name": "x", "spec": {}, "createRejected": [{"field": "spec"}], "steps": [{"op": "settle", "expect": {}}]}`),
		`cannot unmarshal string into Go struct field Step.scenarios.steps.Choice.n of type`: steps(`{"op": "fail", "n": "one"}`),
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "a.json"), []byte(data), 0o600))
		_, err := Load(dir)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "a.json")
	}
	_, err := Load(t.TempDir())
	require.ErrorContains(t, err, "no trace files")
}
