package dashboard

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

func TestFilter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]stint.ListOptions{
		"":                                  {},
		" \t ":                              {},
		"film":                              {Name: "film"},
		`"two words"`:                       {Name: "two words"},
		"name:film":                         {Name: "film"},
		"kind:resize":                       {Kind: "resize"},
		"KIND:Resize":                       {Kind: "Resize"},
		"status:failed":                     {Phase: stint.PhaseFailed},
		"status:RUNNING":                    {Phase: stint.PhaseRunning},
		"label:env=prod":                    {Selector: "env=prod"},
		"label:env":                         {Selector: "env"},
		"label:env=prod label:!old":         {Selector: "env=prod,!old"},
		`label:"env in (prod, test)"`:       {Selector: "env in (prod, test)"},
		"error:timeout":                     {Error: "timeout"},
		`error:"read: timed out"`:           {Error: "read: timed out"},
		"error:http://x/y":                  {Error: "http://x/y"},
		`error:say"hi"`:                     {Error: `say"hi"`},
		`error:"a"kind:b`:                   {Error: "a", Kind: "b"},
		"kind:größe":                        {Kind: "größe"},
		"kind:a status:complete film":       {Kind: "a", Phase: stint.PhaseComplete, Name: "film"},
		"  film\t\tkind:a  ":                {Kind: "a", Name: "film"},
		strings.Repeat("x", maxFilterBytes): {Name: strings.Repeat("x", maxFilterBytes)},
	} {
		f, err := parseFilter(text)
		require.NoError(t, err, text)
		require.Equal(t, filter{text, want}, f, text)
	}
}

func TestFilterTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"color:red":                           `"color:" is no word of a filter. There are kind:, status:, label:, error: and name:.`,
		"kind:":                               `A value is missing after "kind:".`,
		"kind: resize":                        `A value is missing after "kind:".`,
		`error:""`:                            `A value is missing after "error:".`,
		`""`:                                  "There is nothing between the quotes.",
		":resize":                             "A word is missing before ':'.",
		`error:"timed out`:                    "A quote is not closed.",
		`"`:                                   "A quote is not closed.",
		"status:odd":                          `"odd" is no status. There are pending, suspended, running, complete and failed.`,
		"status:failed status:failed":         "A filter has one status.",
		"kind:a kind:b":                       `A filter has one "kind:".`,
		"error:a error:b":                     `A filter has one "error:".`,
		"two words":                           "A filter has one part of a name. Put quotes around several words.",
		"one name:two":                        `A filter has one "name:".`,
		strings.Repeat("x", maxFilterBytes+1): "A filter has at most 500 bytes.",
	} {
		_, err := parseFilter(text)
		var told *fail
		require.ErrorAs(t, err, &told, text)
		require.Equal(t, want, told.Detail, text)
	}
}

// Links add words, which are read back as they were meant.
func TestWithWord(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"prod", "read: timed out", "a=b", "a,b", "größe", "a:b", `say"hi"`} {
		f, err := parseFilter(withWord("kind:resize", "error", value))
		require.NoError(t, err, value)
		require.Equal(t, stint.ListOptions{Kind: "resize", Error: value}, f.Options, url.QueryEscape(value))
	}
}

func FuzzFilter(f *testing.F) {
	f.Add(`kind:a "b c" error:"d`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseFilter(text)
		if err == nil {
			require.Equal(t, text, got.Text)
			return
		}
		var told *fail
		require.ErrorAs(t, err, &told)
		require.NotEmpty(t, told.Detail)
	})
}
