package batchv1_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batchv1"
)

const objectsYAML = `
apiVersion: v1
kind: ConfigMap
metadata: {name: app, namespace: q, labels: {a: b}}
data: {level: info}
binaryData: {text: aGVsbG8=, image: /9j/4A==}
immutable: true
---
apiVersion: v1
kind: Secret
metadata: {name: db, annotations: {note: x}}
type: example.com/db
data: {user: Ym9i, raw: /w==, password: b2xk}
stringData: {password: hush}
`

func TestConfigMapsAndSecretsAreRead(t *testing.T) {
	t.Parallel()
	got, warnings, err := batchv1.Decode([]byte(objectsYAML))
	require.NoError(t, err)
	require.Equal(t, []batchv1.Object{
		{Namespace: "q", ConfigMap: &stint.ConfigMap{
			Name: "app", Labels: map[string]string{"a": "b"}, Data: map[string]string{"level": "info", "text": "hello"}, Immutable: true,
		}},
		{Secret: &stint.Secret{
			Name: "db", Annotations: map[string]string{"note": "x"}, Type: "example.com/db", Data: map[string]stint.SecretValue{
				"user": stint.NewSecretValue("bob"), "raw": stint.NewSecretValue("\xff"), "password": stint.NewSecretValue("hush"),
			},
		}},
	}, got)
	require.Equal(t, []batchv1.Warning{{Field: "documents[0].binaryData[image]", Message: "is left out: a config map here holds text"}}, warnings)
	for _, encode := range []func(...batchv1.Object) ([]byte, error){batchv1.EncodeJSON, batchv1.EncodeYAML} {
		data, err := encode(got...)
		require.NoError(t, err)
		again, warnings, err := batchv1.Decode(data)
		require.NoError(t, err, "%s", data)
		require.Equal(t, got, again, "%s", data)
		require.Empty(t, warnings)
	}
}

func TestBadSecretsAreRefusedWithoutTheirValues(t *testing.T) {
	t.Parallel()
	for data, field := range map[string]string{
		`"data": {"k": "hush!"}`:             "data[k]",
		`"data": {"k": 4711}`:                "data[k]",
		`"stringData": {"k": ["hush"]}`:      "stringData[k]",
		`"stringData": "hush"`:               "stringData",
		`"stringData": {"not this": "hush"}`: "data",
	} {
		_, _, err := batchv1.Decode(fmt.Appendf(nil, `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, %s}`, data))
		var bad *stint.InvalidError
		require.ErrorAs(t, err, &bad)
		require.Equal(t, field, bad.Fields[0].Field)
		require.NotContains(t, err.Error(), "hush")
		require.NotContains(t, err.Error(), "4711")
	}
	for data, field := range map[string]string{
		`"binaryData": {"k": "?"}`:                            "binaryData[k]",
		`"data": {"k": "a"}, "binaryData": {"k": "aGVsbG8="}`: "binaryData[k]",
		`"data": {"k": 1}`:                                    "data[k]",
		`"metadata": {"name": "No"}`:                          "metadata.name",
	} {
		_, _, err := batchv1.Decode(fmt.Appendf(nil, `{"apiVersion": "v1", "kind": "ConfigMap", %s, "metadata": {"name": "%s"}}`, data, "c"))
		if field == "metadata.name" {
			_, _, err = batchv1.Decode(fmt.Appendf(nil, `{"apiVersion": "v1", "kind": "ConfigMap", %s}`, data))
		}
		var bad *stint.InvalidError
		require.ErrorAs(t, err, &bad, data)
		require.Equal(t, field, bad.Fields[0].Field)
	}
}

func TestMountsAreRead(t *testing.T) {
	t.Parallel()
	s, warnings, err := batchv1.DecodeJob([]byte(`
apiVersion: batch/v1
kind: Job
metadata: {name: j, annotations: {stint.dev/kind: k}}
spec:
  template:
    spec:
      restartPolicy: Never
      volumes:
      - name: settings
        configMap: {name: app, optional: true, items: [{key: level, path: level}, {key: color, path: the/color}]}
      - name: db
        secret: {secretName: db, defaultMode: 256}
      - name: scratch
        emptyDir: {}
      containers:
      - name: handler
        envFrom:
        - configMapRef: {name: flags}
        - prefix: X_
          secretRef: {name: more, optional: true}
        env:
        - {name: A, valueFrom: {secretKeyRef: {name: keys, key: a, optional: true}}}
        - {name: B, valueFrom: {secretKeyRef: {name: keys, key: b}}}
        - {name: C, valueFrom: {configMapKeyRef: {name: flags, key: c}}}
        - {name: D, value: d}
`))
	require.NoError(t, err)
	require.Equal(t, []stint.Mount{
		{Name: "settings", ConfigMap: "app", Keys: []string{"level", "color"}, Optional: true},
		{Name: "db", Secret: "db"},
		{ConfigMap: "flags"},
		{Secret: "more", Optional: true},
		{Secret: "keys", Keys: []string{"a", "b"}},
	}, s.Spec.Mounts)
	require.JSONEq(t, `{"D": "d"}`, string(s.Args))
	require.Len(t, warnings, 7, "%v", warnings)

	require.ElementsMatch(t, []string{
		"spec.template.spec.volumes[0] Invalid", "spec.template.spec.containers[0].env[0].valueFrom.secretKeyRef.key Required",
	}, refusals(t, []byte(`
apiVersion: batch/v1
kind: Job
metadata: {name: j, annotations: {stint.dev/kind: k}}
spec:
  template:
    spec:
      restartPolicy: Never
      volumes: [{name: a, configMap: {name: Bad_}}]
      containers: [{name: handler, env: [{name: A, valueFrom: {secretKeyRef: {name: s}}}]}]
`)))
}
