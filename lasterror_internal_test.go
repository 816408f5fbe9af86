package stint

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever the error, its beginning is read back, wherever it was cut.
func TestLastError(t *testing.T) {
	t.Parallel()
	for _, message := range []string{"", "plain", `quoted "x" \ <b>`, "tab\tnewline\n\u2028", "ünï😀çode", strings.Repeat("😀", 200), strings.Repeat(`\"`, 300)} {
		record, err := json.Marshal(AttemptError{Message: message, Stack: `a "message":"stack`})
		require.NoError(t, err)
		_, text, _ := strings.Cut(string(record), `"message":"`)
		for cut := range min(len(text), 400) + 1 {
			got := lastError(text[:cut])
			require.LessOrEqual(t, len(got), maxLastError)
			require.True(t, strings.HasPrefix(message, got), got)
		}
		whole := lastError(text[:min(len(text), 400)])
		require.GreaterOrEqual(t, len(whole), min(len(message), 60), message)
	}
}
