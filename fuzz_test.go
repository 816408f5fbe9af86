package stint

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// FuzzCodes: of the rules that are let in, those on codes say what Kubernetes's
// do of every code that a handler can give, and one on codes alone decides.
func FuzzCodes(f *testing.F) {
	f.Add(`{"rules":[{"action":"FailJob","onExitCodes":{"operator":"In","values":[1,42]}}]}`, 42)
	f.Add(`{"rules":[{"action":"Ignore","onExitCodes":{"operator":"NotIn","values":[0,255]}},{"action":"Count","onErrors":["a"]}]}`, 0)
	f.Add(`{"rules":[{"action":"FailIndex","onExitCodes":{"operator":"In","values":[7]}}]}`, -1)
	f.Add(`{"rules":[{"action":"Ignore","onPodConditions":[{"type":"DisruptionTarget"}]}]}`, 256)
	f.Fuzz(func(t *testing.T, text string, n int) {
		o := outcomeOf(Code(n, errors.New("no")))
		require.True(t, o.code == n && n >= 1 && n <= 255 || o.code == 1 && (n < 1 || n > 255), o.code)
		var policy FailurePolicy
		if json.Unmarshal([]byte(text), &policy) != nil {
			return
		}
		spec := JobSpec{CompletionMode: Indexed, Completions: new(1), BackoffLimitPerIndex: new(1), FailurePolicy: &policy}
		spec = spec.withDefaults(DefaultTTL)
		if err := validateCreate(spec, "k", 0); err != nil {
			var invalid *InvalidError
			require.ErrorAs(t, err, &invalid)
			require.NotEmpty(t, invalid.Fields)
			return
		}
		verdict, rule := judge(&spec, o)
		want, first := rules.Failed, -1
		for i, r := range spec.FailurePolicy.Rules {
			if c := r.OnCodes; c != nil && slices.Contains(c.Values, o.code) == (c.Operator == OperatorIn) {
				first = i
				want = map[FailureAction]rules.Verdict{
					ActionCount: rules.Failed, ActionFailJob: rules.JobFailed, ActionFailIndex: rules.IndexFailed, ActionIgnore: rules.Ignored,
				}[r.Action]
				break
			}
		}
		require.Equal(t, first, rule, text)
		require.Equal(t, want, verdict, text)
		data, err := json.Marshal(spec)
		require.NoError(t, err)
		var again JobSpec
		require.NoError(t, json.Unmarshal(data, &again))
		written, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(data), string(written))
	})
}

// FuzzStored: whatever others have put into Redis, reading it as what is kept
// of a plain job, a cron job, an object or a spec gives a value or an error.
func FuzzStored(f *testing.F) {
	f.Add(store.KeptRecord(&store.Task{Spec: []byte(`{"labels":{"a":"b"}}`), Args: []byte(`{"n":1}`)}, []byte("2")))
	f.Add([]byte(`{"name":"c","schedule":"@daily","jobKind":"k","rawArgs":"e30="}`))
	f.Add([]byte(`{"uid":"u","created":1,"data":{"a":"b"},"sealed":{"c":"AA=="}}`))
	f.Add([]byte(`{"completions":3,"resources":{"limits":{"memory":"1Gi"}},"mounts":[{"configMap":"a"}]}`))
	f.Add([]byte(`{"host":"h","pid":1,"capacity":{"cpu":"x"},"memory":-1}`))
	ring := Key{ID: "k1", Secret: NewSecretValue("32 bytes from where secrets are.")}
	q := NewQueue("fuzz", nil, QueueConfig{Keys: []Key{ring}})
	f.Fuzz(func(t *testing.T, data []byte) {
		if k, err := store.ParseKept(data); err == nil {
			again, err := store.ParseKept(store.KeptRecord(&store.Task{Spec: k.Spec, Args: k.Args, Tries: k.Tries}, k.Result))
			require.NoError(t, err)
			require.Equal(t, k, again)
		}
		if c, err := q.parseCron(data); err == nil {
			require.NotNil(t, c)
		}
		for _, id := range []string{"config/a", "secret/a"} {
			config, secret, err := q.openObject(id, store.Object{Version: "1-1", Data: data})
			require.True(t, err != nil || config != nil || secret != nil)
		}
		cache := newWorkCache(q)
		if spec, err := cache.decode(data); err == nil {
			_ = spec.Resources.Limits.amounts().Text()
			o := outcome{verb: verbFail, code: 1, delay: -1}
			_ = resultOf(&store.Task{Job: "j", UID: "u", Attempt: 1}, spec, o, "w")
		}
		var crew crewOf
		crew.add(data, map[string]int{"k": 1}, "k")
		_ = crew.largest()
		r := &store.Record{Name: "j", UID: "u", Kind: "k", Log: string(data), Memory: string(data), Lacks: string(data), Spec: data}
		for _, c := range conditions(r) {
			require.NotEmpty(t, c.Message)
		}
		_, _ = (&facts{record: r}).lacks()
		_, _ = q.job(r)
	})
}
