package batchv1_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/batchv1"
)

// TestManifestsOfThePages decodes the manifests that docs/ shows.
func TestManifestsOfThePages(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	decoded := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
			manifest, _, _ := strings.Cut(block, "```")
			if !strings.Contains(manifest, "apiVersion:") {
				continue
			}
			objects, _, err := batchv1.Decode([]byte(manifest))
			require.NoError(t, err, page)
			require.NotEmpty(t, objects, page)
			decoded++
		}
	}
	require.Positive(t, decoded)
}
