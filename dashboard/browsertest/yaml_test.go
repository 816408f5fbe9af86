package browsertest

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	yaml2 "go.yaml.in/yaml/v2"
	"go.yaml.in/yaml/v3"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/dashboard"
	"github.com/stint-go/stint/internal/redistest"
)

// hostile are strings that a writer of YAML easily gets wrong.
var hostile = []string{
	"", " ", " leading", "trailing ", "two  blanks", "a: b", "a:", ":", ": ", "key: [1, 2]", "- item", "-", "--", "---", "...", "a #comment", "#comment", "a#b",
	"'", "''", `"`, `""`, `say "hi"`, "it's", `\`, `\n`, `C:\new\table`, `ends with \`, `\u003c`, `\\u0026`, `\x41`, "line\nbreak", "line\r\nbreak", "\n", "ends with newline\n", "tab\tinside", "\tleading",
	"true", "True", "TRUE", "false", "yes", "Yes", "no", "NO", "on", "off", "y", "N", "null", "Null", "~", "nan", ".nan", ".NaN", "inf", ".inf", "-.inf",
	"0", "1", "-1", "+1", "007", "0o17", "0x1F", "0b101", "1.5", ".5", "5.", "1e3", "1E+3", "-1.5e-3", "1_000", "190:20:30", "12:30:45", "1,000", "9223372036854775808",
	"2026-05-01", "2026-05-01T08:00:00Z", "2026-05-01 08:00:00", "!!str x", "!tag", "&anchor", "*alias", "%TAG", "@at", "`tick`", "?", "? key", "{", "}", "{}", "[", "]", "[]", "{a: b}",
	"[a, b]", ",", "a, b", "|", "|-", ">", ">-", "| literal", "=", "<<", "größe", "日本語", "🎬", "e\u0301", "a\u00a0b", "a\u2028b", "a\u2029b", "a\u0085b", "\u200bzero", "\u202eright",
	"a\u0000b", "\u0001", "\u001b[31m", "\u007f", "\ufeffbom", "<script>", "</pre>", "&amp;", "&lt;", "a&b", "{{.}}", "${HOME}", "a/b.c-d_e", "/path", ".hidden", "_x", strings.Repeat("long ", 300),
}

type args struct {
	Strings []string          `json:"strings"`
	Keys    map[string]string `json:"keys"`
	Nested  any               `json:"nested"`
}

func (args) Kind() string { return "odd" }

var spec = regexp.MustCompile(`(?s)<section class="card" id="spec">.*?<pre[^>]*>(.*?)</pre>`)

// The YAML of a job's page is read by two parsers as what was submitted: one
// of YAML 1.1, for which "yes" is true, and one of YAML 1.2.
func TestSpecIsYAML(t *testing.T) {
	t.Parallel()
	a := args{Strings: hostile, Keys: map[string]string{}, Nested: json.RawMessage(`{"` + strings.Repeat("x", 2000) + `":{"a":1},"list":[{"` + strings.Repeat("y", 2000) + `":[1],"z":2}],"empty":{},"none":[],"deep":[[1,[2,{"a":[{"b":null}]}]],{"c":"x","d":[true,false,0,-1.5,1e3]}]}`)}
	for i, s := range hostile {
		a.Keys[s] = fmt.Sprint(i)
	}
	rdb := redistest.Mini(t)
	q := stint.NewQueue("media", rdb)
	job, err := q.Submit(t.Context(), a, stint.JobSpec{
		Name: "odd", CompletionMode: stint.Indexed, Completions: new(3), Labels: map[string]string{"env": "yes", "number": "1e3"},
		Annotations: map[string]string{"example.com/note": "a: b\n# c", "example.com/truth": "off"},
	})
	require.NoError(t, err)
	server := httptest.NewServer(dashboard.New([]*stint.Queue{q}, dashboard.Config{ShowArgs: true}))
	defer server.Close()
	r, err := http.Get(server.URL + "/queues/media/jobs/odd")
	require.NoError(t, err)
	defer func() { _ = r.Body.Close() }()
	page, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	found := spec.FindSubmatch(page)
	require.NotNil(t, found, "%s", page)
	text := html.UnescapeString(string(found[1]))

	want, err := json.Marshal(struct {
		Name  string          `json:"name"`
		Queue string          `json:"queue"`
		Kind  string          `json:"kind"`
		Args  args            `json:"args"`
		Spec  json.RawMessage `json:"spec"`
	}{"odd", "media", "odd", a, withoutName(t, job.Spec)})
	require.NoError(t, err)
	for name, parse := range map[string]func([]byte, any) error{"1.1": yaml2.Unmarshal, "1.2": yaml.Unmarshal} {
		var got any
		require.NoError(t, parse([]byte(text), &got), "%s:\n%s", name, text)
		back, err := json.Marshal(stringKeys(t, got))
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(back), name)
	}
}

func withoutName(t *testing.T, s stint.JobSpec) json.RawMessage {
	t.Helper()
	s.Name = ""
	data, err := json.Marshal(s)
	require.NoError(t, err)
	return data
}

// stringKeys is what a parser has read with keys as JSON has them: another key
// than a string was written wrong.
func stringKeys(t *testing.T, v any) any {
	t.Helper()
	switch v := v.(type) {
	case map[any]any:
		out := map[string]any{}
		for k, e := range v {
			require.IsType(t, "", k, "the key %v", k)
			out[k.(string)] = stringKeys(t, e)
		}
		return out
	case map[string]any:
		for k, e := range v {
			v[k] = stringKeys(t, e)
		}
	case []any:
		for i, e := range v {
			v[i] = stringKeys(t, e)
		}
	}
	return v
}
