package dashboard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-go/stint"
)

// filter is what is searched for, in words: kind:resize status:failed
// label:env=prod error:"read timeout", and a part of a name.
type filter struct {
	Text    string
	Options stint.ListOptions
}

const maxFilterBytes = 500

var phases = []stint.Phase{stint.PhasePending, stint.PhaseSuspended, stint.PhaseRunning, stint.PhaseComplete, stint.PhaseFailed}

// parseFilter reads a filter; what it can't read is a fail for the user.
func parseFilter(text string) (filter, error) {
	f := filter{Text: text}
	if len(text) > maxFilterBytes {
		return filter{}, badRequest(fmt.Sprintf("A filter has at most %d bytes.", maxFilterBytes))
	}
	words, err := filterWords(text)
	if err != nil {
		return f, err
	}
	var selectors []string
	for _, w := range words {
		switch w.key {
		case "":
			err = once(&f.Options.Name, w)
		case "name":
			err = once(&f.Options.Name, w)
		case "kind":
			err = once(&f.Options.Kind, w)
		case "error":
			err = once(&f.Options.Error, w)
		case "label":
			selectors = append(selectors, w.value)
		case "status":
			err = f.status(w.value)
		default:
			err = badRequest(fmt.Sprintf("%q is no word of a filter. There are kind:, status:, label:, error: and name:.", w.key+":"))
		}
		if err != nil {
			return f, err
		}
	}
	f.Options.Selector = strings.Join(selectors, ",")
	return f, nil
}

func (f *filter) status(value string) error {
	at := slices.IndexFunc(phases, func(p stint.Phase) bool { return strings.EqualFold(string(p), value) })
	switch {
	case at < 0:
		return badRequest(fmt.Sprintf("%q is no status. There are pending, suspended, running, complete and failed.", value))
	case f.Options.Phase != "":
		return badRequest("A filter has one status.")
	}
	f.Options.Phase = phases[at]
	return nil
}

func once(field *string, w filterWord) error {
	if *field != "" {
		if w.key == "" {
			return badRequest("A filter has one part of a name. Put quotes around several words.")
		}
		return badRequest(fmt.Sprintf("A filter has one %q.", w.key+":"))
	}
	*field = w.value
	return nil
}

type filterWord struct{ key, value string }

// filterWords parts a text at blanks that are not within quotes.
func filterWords(text string) ([]filterWord, error) {
	var words []filterWord
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimSpace(rest) {
		var w filterWord
		end := strings.IndexAny(rest, " \t\":")
		if end >= 0 && rest[end] == ':' {
			w.key, rest = strings.ToLower(rest[:end]), rest[end+1:]
			if w.key == "" {
				return nil, badRequest("A word is missing before ':'.")
			}
		}
		var closed bool
		if strings.HasPrefix(rest, `"`) {
			if w.value, rest, closed = strings.Cut(rest[1:], `"`); !closed {
				return nil, badRequest("A quote is not closed.")
			}
		} else {
			end = strings.IndexAny(rest, " \t")
			if end < 0 {
				end = len(rest)
			}
			w.value, rest = rest[:end], rest[end:]
		}
		if w.value == "" && w.key == "" {
			return nil, badRequest("There is nothing between the quotes.")
		} else if w.value == "" {
			return nil, badRequest(fmt.Sprintf("A value is missing after %q.", w.key+":"))
		}
		words = append(words, w)
	}
	return words, nil
}

// withWord is the filter with a word added, for links.
func withWord(text, key, value string) string {
	if strings.ContainsAny(value, " \t,=") && !strings.Contains(value, `"`) {
		value = `"` + value + `"`
	}
	return strings.TrimSpace(text + " " + key + ":" + value)
}
