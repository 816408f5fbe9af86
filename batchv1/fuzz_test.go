package batchv1_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/batchv1"
)

// FuzzDecode: whatever is read without a panic, and what is valid is written
// and read again as the same.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "jobs", "*.yaml"))
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
	for _, s := range submissions() {
		for _, encode := range []func(...batchv1.Object) ([]byte, error){batchv1.EncodeJSON, batchv1.EncodeYAML} {
			data, err := encode(batchv1.Object{Job: &s})
			require.NoError(f, err)
			f.Add(data)
		}
	}
	f.Add(containers(`"requests": {"cpu": 0.5}, "limits": {"memory": "1Gi"}`, `"limits": {"memory": "1Mi", "example.com/gpu": 1}`))
	f.Add(cron(`"schedule": "@daily",`, ""))
	f.Fuzz(func(t *testing.T, data []byte) {
		objects, _, err := batchv1.Decode(data)
		if err != nil {
			require.Empty(t, objects)
			return
		}
		for _, encode := range []func(...batchv1.Object) ([]byte, error){batchv1.EncodeJSON, batchv1.EncodeYAML} {
			written, err := encode(objects...)
			require.NoError(t, err)
			if len(written) > batchv1.MaxBytes {
				return // as with a List of very many jobs
			}
			again, warnings, err := batchv1.Decode(written)
			require.NoError(t, err, "%s", written)
			require.Equal(t, objects, again, "%s", written)
			for _, w := range warnings {
				require.Contains(t, w.Message, "kept as a note")
			}
		}
	})
}
