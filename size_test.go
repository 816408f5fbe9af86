package stint

import (
	"fmt"
	"strings"
	"testing"
)

// Each part may be within its limit, and all of them too much for one record.
func TestCreateSize(t *testing.T) {
	t.Parallel()
	indexes := make([]string, 11_000)
	for i := range indexes {
		indexes[i] = fmt.Sprint(2 * i)
	}
	rule := `{"succeededIndexes":"` + strings.Join(indexes, ",") + `"}`
	spec := func(rules int) string {
		return `{"completions":30000,"completionMode":"Indexed","successPolicy":{"rules":[` + repeated(rule, rules) + `]}}`
	}
	testCreate(t, map[string]createCase{
		"4 of 60 KiB": {spec(4), nil},
		"5 of 60 KiB": {spec(5), bad(FieldTooLong, "spec")},
	})
}
