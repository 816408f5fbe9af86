package selector_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/selector"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"env": "test", "tier": "", "example.com/team": "a-1"}
	for text, want := range map[string]bool{
		"": true, " \t\n": true,
		"env": true, "none": false, "!env": false, "!none": true, "! none": true, "tier": true,
		"env=test": true, "env==test": true, "env = prod": false, "none=x": false, "none=": false, "tier=": true, "tier==": true,
		"env!=test": false, "env!=prod": true, "none!=x": true, "none!=": true, "tier!=": false,
		"env in (test)": true, "env in(prod,test)": true, "env in (prod)": false, "none in (x)": false,
		"env notin (test)": false, "env notin (prod)": true, "none notin (x)": true,
		"tier in (,x)": true, "tier in (x,)": true, "tier notin (,)": false, "env in (in,notin,test)": true,
		"in": false, "!notin": true, "in notin (in)": true, "notin in (notin)": false,
		"example.com/team=a-1":                     true,
		"env=test,tier,!none,none notin (x,y)":     true,
		"env=test,tier,none":                       false,
		"env=test , tier = , example.com/team!=b1": true,
	} {
		s, err := selector.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, s.Matches(labels), text)
		require.Equal(t, strings.TrimSpace(text) == "", s.Empty(), text)
	}
	require.True(t, selector.Selector{}.Matches(nil))
}

func TestString(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                          "",
		"b,a":                       "a,b",
		"a==x":                      "a=x",
		"a in (x)":                  "a=x",
		"a notin ( x )":             "a!=x",
		"a in (y,x,y)":              "a in (x,y)",
		"a in (x,)":                 "a in (,x)",
		"a in (,)":                  "a=",
		"a notin ()":                "a!=",
		"!c, a!=, b notin (2,1),!c": "a!=,b notin (1,2),!c",
	} {
		s, err := selector.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, s.String(), text)
		again, err := selector.Parse(s.String())
		require.NoError(t, err, text)
		require.Equal(t, s, again, text)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a b":         `position 3: found "b", expected '=', '==', '!=', 'in', 'notin', ',' or the end`,
		"a>1":         `position 2: found ">", expected '=', '==', '!=', 'in', 'notin', ',' or the end`,
		"a=b c":       `position 5: found "c", expected ',' or the end`,
		"a,":          `position 3: found the end, expected a key`,
		",a":          `position 1: found ",", expected a key`,
		"a,,b":        `position 3: found ",", expected a key`,
		"!":           `position 2: found the end, expected a key`,
		"!!a":         `position 2: found "!", expected a key`,
		"!a=b":        `position 3: found "=", expected ',' or the end`,
		"=x":          `position 1: found "=", expected a key`,
		"a===b":       `position 4: found "=", expected a value`,
		"a=-b":        `position 3: found "-b", expected a value`,
		"a=!b":        `position 3: found "!", expected a value`,
		"a in x":      `position 6: found "x", expected '('`,
		"a in":        `position 5: found the end, expected '('`,
		"a in (":      `position 7: found the end, expected ',' or ')'`,
		"a in (x":     `position 8: found the end, expected ',' or ')'`,
		"a in (x y)":  `position 9: found "y", expected ',' or ')'`,
		"a in (x))":   `position 9: found ")", expected ',' or the end`,
		"a in (x,(y)": `position 9: found "(", expected a value`,
		"a=)":         `position 3: found ")", expected ',' or the end`,
		"A.b/c/d":     `position 1: found "A.b/c/d", expected a key`,
		"-/a":         `position 1: found "-/a", expected a key`,
		"/a":          `position 1: found "/a", expected a key`,
		"a/":          `position 1: found "a/", expected a key`,
		"é":           `position 1: found "é", expected a key`,
	} {
		_, err := selector.Parse(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	prefix := strings.Repeat("a", 253)
	for text, ok := range map[string]bool{
		long: true, long + "a": false, "k=" + long: true, "k=" + long + "a": false,
		prefix + "/" + long: true, prefix + "a/k": false,
	} {
		_, err := selector.Parse(text)
		require.Equal(t, ok, err == nil, text)
	}
	keys := make([]string, selector.MaxRequirements)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%d", i)
	}
	_, err := selector.Parse(strings.Join(keys, ","))
	require.NoError(t, err)
	_, err = selector.Parse(strings.Join(keys, ",") + ",one-more")
	require.ErrorContains(t, err, `found "one-more", expected at most 100 requirements`)
	_, err = selector.Parse(strings.Repeat("x", 10_000))
	require.Less(t, len(err.Error()), 300, "a long word does not drown the message")
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"a=b,c!=d,e in (x,y),f notin (z),g,!h", "a==", "a in (,x)", "!", "a in (", "example.com/a<b"} {
		f.Add(text, "a", "b")
	}
	f.Fuzz(func(t *testing.T, text, key, value string) {
		s, err := selector.Parse(text)
		if err != nil {
			var at *selector.Error
			require.ErrorAs(t, err, &at)
			require.True(t, at.Position >= 1 && at.Position <= len(text)+1)
			return
		}
		again, err := selector.Parse(s.String())
		require.NoError(t, err, s.String())
		require.Equal(t, s, again)
		require.Equal(t, s.String(), again.String())
		labels := map[string]string{key: value}
		require.Equal(t, s.Matches(labels), again.Matches(labels))
	})
}
