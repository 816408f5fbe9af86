package batchv1_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/batchv1"
)

func TestManyDocuments(t *testing.T) {
	t.Parallel()
	one := string(manifest(t, "stop-on-bad-input.yaml"))
	for name, text := range map[string]string{
		"marked at each end": "---\n" + one + "---\n" + one + "---\n",
		"with remarks":       "--- # first\n" + one + "---\n# nothing\n---\n" + one,
		"ended":              one + "...\n---\n" + one + "...\n",
		"returns":            strings.ReplaceAll(one+"---\n"+one, "\n", "\r\n"),
		"mark of UTF-8":      "\xef\xbb\xbf" + one + "---\n" + one,
	} {
		objects, list, err := batchv1.Decode([]byte(text))
		require.NoError(t, err, name)
		require.Len(t, objects, 2, name)
		require.Equal(t, objects[0], objects[1], name)
		require.True(t, strings.HasPrefix(list[0].Field, "documents[0].spec."), name)
		require.True(t, strings.HasPrefix(list[len(list)-1].Field, "documents[1].spec."), name)
	}
	require.Equal(t, []string{"documents[1].spec.parallelism Invalid", "documents[2].manifest Invalid"},
		refusals(t, []byte(one+"---\n"+strings.Replace(one, "parallelism: 3", "parallelism: -3", 1)+"---\ntext\n")))
}

func TestLists(t *testing.T) {
	t.Parallel()
	one := string(job("", neverRestart))
	bare := strings.Replace(one, `"apiVersion": "batch/v1", "kind": "Job",`, "", 1)
	for _, text := range []string{
		`{"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [` + one + `, ` + one + `]}`,
		`{"apiVersion": "batch/v1", "kind": "JobList", "items": [` + bare + `, ` + bare + `]}`,
	} {
		objects, list, err := batchv1.Decode([]byte(text))
		require.NoError(t, err)
		require.Len(t, objects, 2)
		require.Empty(t, list)
	}
	require.Equal(t, []string{"items[2] Invalid", "items[0].spec.parallelism Invalid", "items[1].kind NotSupported", "items[3].kind NotSupported"},
		refusals(t, []byte(`{"apiVersion": "v1", "kind": "List", "items": [`+string(job(`"parallelism": -1,`, neverRestart))+
			`, {"apiVersion": "v1", "kind": "List", "items": []}, 5, `+bare+`]}`)))
}

func TestOtherThingsAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                          {"manifest Required"},
		"---\n# nothing\n":          {"manifest Required"},
		"null":                      {"manifest Required"},
		"[]":                        {"manifest Invalid"},
		"a: b: c":                   {"manifest Invalid"},
		"\xff\xfe{\x00}\x00":        {"manifest Invalid"},
		"{}":                        {"apiVersion Required", "kind Required"},
		"kind: Pod\napiVersion: v1": {"apiVersion NotSupported", "kind NotSupported"},
		"kind: CronJob\napiVersion: batch/v1beta1": {"apiVersion NotSupported"},
		"kind: 1\napiVersion: batch/v1":            {"kind Invalid"},
		`{"kind": "Job", "kind": "Job"}`:           {"manifest Invalid"},
		"kind: Job\nkind: Job":                     {"manifest Invalid"},
		`{1: a, "1": b}`:                           {"manifest Invalid"},
		"a: .nan":                                  {"manifest Invalid"},
		"a: !!binary /w==":                         {"manifest Invalid"},
		"[1]: a":                                   {"manifest Invalid"},
		"a: .inf":                                  {"manifest Invalid"},
		`{"a": 1e999}`:                             {"manifest Invalid"},
	} {
		require.Equal(t, want, refusals(t, []byte(text)), "%q", text)
	}
}

func TestOneObjectOfAKind(t *testing.T) {
	t.Parallel()
	one := job("", neverRestart)
	_, _, err := batchv1.DecodeCronJob(one)
	require.ErrorContains(t, err, `kind: Unsupported value: "Job": must be "CronJob"`)
	_, _, err = batchv1.DecodeJob(cron(`"schedule": "@daily",`, ""))
	require.ErrorContains(t, err, `kind: Unsupported value: "CronJob": must be "Job"`)
	_, _, err = batchv1.DecodeJob(manifest(t, "nightly.yaml"))
	require.ErrorContains(t, err, "has 2 objects, and must have one Job")
}

func TestHugeInputIsRefused(t *testing.T) {
	t.Parallel()
	padded := append(job("", neverRestart), make([]byte, batchv1.MaxBytes)...)
	for i := range padded {
		if padded[i] == 0 {
			padded[i] = ' '
		}
	}
	require.Equal(t, []string{"manifest TooLong"}, refusals(t, padded))
	require.Empty(t, refusals(t, padded[:batchv1.MaxBytes]))
}

// TestBombsAreRefused has small texts that stand for large ones.
func TestBombsAreRefused(t *testing.T) {
	t.Parallel()
	laughs := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'j'; c++ {
		before := "*" + string(c-1)
		laughs += string(c) + ": &" + string(c) + " [" + strings.Repeat(before+",", 8) + before + "]\n"
	}
	for name, text := range map[string]string{
		"aliases of aliases":  laughs,
		"aliases of one text": "a: &a " + strings.Repeat("x", batchv1.MaxBytes/2) + "\nb: [" + strings.Repeat("*a,", 1000) + "*a]\n",
		"itself":              "&a [*a]",
		"deep JSON":           strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000),
		"deep YAML":           strings.Repeat("[", 500_000),
		"deep and closed":     "a: " + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000),
		"documents":           strings.Repeat("--- 1\n", 20_000),
	} {
		require.Equal(t, []string{"manifest Invalid"}, refusals(t, []byte(text)), name)
	}
}

func TestAliasesAreFilledIn(t *testing.T) {
	t.Parallel()
	text := strings.Replace(string(manifest(t, "stop-on-bad-input.yaml")), "completions: 12", "completions: &n 3", 1)
	s, _, err := batchv1.DecodeJob([]byte(strings.Replace(text, "parallelism: 3", "parallelism: *n", 1)))
	require.NoError(t, err)
	require.Equal(t, 3, *s.Spec.Parallelism)
}
