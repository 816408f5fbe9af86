package stint

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// badField is what a test expects of a FieldError.
type badField struct {
	Field string
	Cause FieldCause
}

func badFields(t *testing.T, err error) []badField {
	t.Helper()
	if err == nil {
		return nil
	}
	var invalid *InvalidError
	require.ErrorAs(t, err, &invalid)
	out := make([]badField, len(invalid.Fields))
	for i, f := range invalid.Fields {
		out[i] = badField{f.Field, f.Cause}
	}
	return out
}

func specOf(t *testing.T, text string) JobSpec {
	t.Helper()
	var s JobSpec
	require.NoError(t, json.Unmarshal([]byte(text), &s))
	return s
}

func invalid(fields ...string) []badField { return bad(FieldInvalid, fields...) }

func bad(cause FieldCause, fields ...string) []badField {
	out := make([]badField, len(fields))
	for i, f := range fields {
		out[i] = badField{f, cause}
	}
	return out
}

const (
	rule0    = "spec.podFailurePolicy.rules[0]"
	success0 = "spec.successPolicy.rules[0]"
)

// failing is a spec with one failure rule.
func failing(rule string) string {
	return `{"completions":1,"podFailurePolicy":{"rules":[` + rule + `]}}`
}

// succeeding is an Indexed spec of five completions with one success rule.
func succeeding(rule string) string {
	return `{"completions":5,"completionMode":"Indexed","successPolicy":{"rules":[` + rule + `]}}`
}

func repeated(text string, n int) string {
	return strings.TrimSuffix(strings.Repeat(text+",", n), ",")
}

func ascending(n int) string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprint(i)
	}
	return strings.Join(values, ",")
}

type createCase struct {
	spec string
	want []badField
}

func testCreate(t *testing.T, tests map[string]createCase) {
	t.Helper()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := specOf(t, tt.spec).withDefaults(time.Hour)
			require.Equal(t, tt.want, badFields(t, validateCreate(spec, "kind", 0)))
		})
	}
}

func TestCreateCounts(t *testing.T) {
	t.Parallel()
	testCreate(t, map[string]createCase{
		"B011 everything negative is reported together": {
			`{"parallelism":-1,"completions":-1,"activeDeadlineSeconds":-1,"backoffLimit":-1,"ttlSecondsAfterFinished":-1,
			"completionMode":"Indexed","backoffLimitPerIndex":-1,"maxFailedIndexes":-1}`,
			invalid("spec.parallelism", "spec.completions", "spec.activeDeadlineSeconds", "spec.backoffLimit",
				"spec.ttlSecondsAfterFinished", "spec.backoffLimitPerIndex", "spec.maxFailedIndexes"),
		},
		"B011 parallelism":   {`{"parallelism":-1}`, invalid("spec.parallelism")},
		"B011 backoff limit": {`{"backoffLimit":-1}`, invalid("spec.backoffLimit")},
		"B011 per index":     {`{"completions":2,"completionMode":"Indexed","backoffLimitPerIndex":-1}`, invalid("spec.backoffLimitPerIndex")},
		"B011 max failed": {
			`{"completions":2,"completionMode":"Indexed","backoffLimitPerIndex":1,"maxFailedIndexes":-1}`,
			invalid("spec.maxFailedIndexes"),
		},
		"counts beyond 32 bits": {
			`{"parallelism":2147483648,"completions":2147483648,"backoffLimit":2147483648,"lostLimit":2147483648}`,
			invalid("spec.parallelism", "spec.completions", "spec.backoffLimit", "spec.lostLimit"),
		},
		"counts of 32 bits":                             {`{"parallelism":2147483647,"completions":2147483647,"backoffLimit":2147483647}`, nil},
		"B168 a zero deadline is refused, unlike there": {`{"activeDeadlineSeconds":0}`, invalid("spec.activeDeadlineSeconds")},
		"zeroes":                               {`{"parallelism":0,"completions":0,"backoffLimit":0,"ttlSecondsAfterFinished":0,"lostLimit":0}`, nil},
		"B012 Indexed without completions":     {`{"parallelism":1,"completionMode":"Indexed"}`, bad(FieldRequired, "spec.completions")},
		"Indexed with nothing else":            {`{"completionMode":"Indexed"}`, nil},
		"Indexed with no completions to reach": {`{"completions":0,"completionMode":"Indexed"}`, nil},
		"B013 Indexed parallelism 100001":      {`{"completions":200000,"parallelism":100001,"completionMode":"Indexed"}`, invalid("spec.parallelism")},
		"B013 Indexed parallelism 100000":      {`{"completions":200000,"parallelism":100000,"completionMode":"Indexed"}`, nil},
		"B014 unknown mode":                    {`{"completionMode":"Random"}`, bad(FieldNotSupported, "spec.completionMode")},
		"B015 NonIndexed with limits per index": {
			`{"completions":2,"backoffLimitPerIndex":1,"maxFailedIndexes":1}`,
			invalid("spec.backoffLimitPerIndex", "spec.maxFailedIndexes"),
		},
		"B016 max failed without per index": {`{"completions":2,"completionMode":"Indexed","maxFailedIndexes":1}`, bad(FieldRequired, "spec.backoffLimitPerIndex")},
		"B016 NonIndexed as well": {
			`{"completions":2,"maxFailedIndexes":1}`,
			[]badField{{"spec.backoffLimitPerIndex", FieldRequired}, {"spec.maxFailedIndexes", FieldInvalid}},
		},
		"B017 max failed above completions": {
			`{"completions":2,"completionMode":"Indexed","backoffLimitPerIndex":1,"maxFailedIndexes":3}`,
			invalid("spec.maxFailedIndexes"),
		},
		"B018 many completions need max failed": {
			`{"completions":100001,"parallelism":10,"completionMode":"Indexed","backoffLimitPerIndex":1}`,
			bad(FieldRequired, "spec.maxFailedIndexes"),
		},
		"B019 many completions, max failed 10001": {
			`{"completions":100001,"parallelism":10,"completionMode":"Indexed","backoffLimitPerIndex":1,"maxFailedIndexes":10001}`,
			invalid("spec.maxFailedIndexes"),
		},
		"B019 many completions, parallelism 10001": {
			`{"completions":100001,"parallelism":10001,"completionMode":"Indexed","backoffLimitPerIndex":1,"maxFailedIndexes":1}`,
			invalid("spec.parallelism"),
		},
		"B019 a billion with both at 10000": {
			`{"completions":1000000000,"parallelism":10000,"completionMode":"Indexed","backoffLimitPerIndex":1,"maxFailedIndexes":10000}`, nil,
		},
		"max failed above its limit": {
			`{"completions":200000,"completionMode":"Indexed","maxFailedIndexes":100001}`,
			[]badField{{"spec.backoffLimitPerIndex", FieldRequired}, {"spec.maxFailedIndexes", FieldInvalid}},
		},
		"max failed at its limit": {
			`{"completions":100000,"completionMode":"Indexed","backoffLimitPerIndex":1,"maxFailedIndexes":100000}`, nil,
		},
	})
}

func TestCreateFailurePolicy(t *testing.T) {
	t.Parallel()
	const codes = rule0 + ".onExitCodes"
	const fine = `{"action":"FailJob","onExitCodes":{"operator":"In","values":[1]}}`
	testCreate(t, map[string]createCase{
		"no rules":          {failing(``), nil},
		"B022 20 rules":     {failing(repeated(fine, 20)), nil},
		"B022 21 rules":     {failing(repeated(fine, 21)), bad(FieldTooMany, "spec.podFailurePolicy.rules")},
		"B022 255 codes":    {failing(`{"action":"Count","onExitCodes":{"operator":"NotIn","values":[` + ascending(255) + `]}}`), nil},
		"B022 256 codes":    {failing(`{"action":"Count","onExitCodes":{"operator":"NotIn","values":[` + ascending(256) + `]}}`), bad(FieldTooMany, codes+".values")},
		"B022 20 patterns":  {failing(`{"action":"Count","onPodConditions":[` + repeated(`{"type":"A"}`, 20) + `]}`), nil},
		"B022 21 patterns":  {failing(`{"action":"Count","onPodConditions":[` + repeated(`{"type":"A"}`, 21) + `]}`), bad(FieldTooMany, rule0+".onPodConditions")},
		"21 error names":    {failing(`{"action":"Count","onErrors":[` + repeated(`"a"`, 21) + `]}`), bad(FieldTooMany, rule0+".onErrors")},
		"B023 both":         {failing(`{"action":"Count","onExitCodes":{"operator":"In","values":[1]},"onPodConditions":[{"type":"A"}]}`), invalid(rule0)},
		"B023 neither":      {failing(`{"action":"Count"}`), invalid(rule0)},
		"B023 with errors":  {failing(`{"action":"Count","onErrors":["a"],"onPodConditions":[{"type":"A"}]}`), invalid(rule0)},
		"errors alone":      {failing(`{"action":"Count","onErrors":["sql.ErrNoRows"]}`), nil},
		"bad error name":    {failing(`{"action":"Count","onErrors":["a b"]}`), invalid(rule0 + ".onErrors[0]")},
		"error named twice": {failing(`{"action":"Count","onErrors":["a","a"]}`), bad(FieldDuplicate, rule0+".onErrors[1]")},
		"B024 0 in":         {failing(`{"action":"FailJob","onExitCodes":{"operator":"In","values":[0,1]}}`), invalid(codes + ".values[0]")},
		"B024 0 not in":     {failing(`{"action":"FailJob","onExitCodes":{"operator":"NotIn","values":[0,1]}}`), nil},
		"B025 unordered":    {failing(`{"action":"FailJob","onExitCodes":{"operator":"In","values":[3,2]}}`), invalid(codes + ".values")},
		"B025 twice":        {failing(`{"action":"FailJob","onExitCodes":{"operator":"In","values":[2,2]}}`), bad(FieldDuplicate, codes+".values[1]")},
		"B025 no codes":     {failing(`{"action":"FailJob","onExitCodes":{"operator":"In","values":[]}}`), invalid(codes + ".values")},
		"codes 255 and 256": {failing(`{"action":"FailJob","onExitCodes":{"operator":"In","values":[255,256]}}`), invalid(codes + ".values[1]")},
		"no operator":       {failing(`{"action":"FailJob","onExitCodes":{"values":[1]}}`), bad(FieldRequired, codes+".operator")},
		"unknown operator":  {failing(`{"action":"FailJob","onExitCodes":{"operator":"Near","values":[1]}}`), bad(FieldNotSupported, codes+".operator")},
		"B027 FailIndex": {
			`{"completions":1,"completionMode":"Indexed","podFailurePolicy":{"rules":[{"action":"FailIndex","onExitCodes":{"operator":"In","values":[2]}}]}}`,
			invalid(rule0 + ".action"),
		},
		"B027 FailIndex with per index": {
			`{"completions":1,"completionMode":"Indexed","backoffLimitPerIndex":0,"podFailurePolicy":{"rules":[{"action":"FailIndex","onErrors":["a"]}]}}`, nil,
		},
		"no action":      {failing(`{"onErrors":["a"]}`), bad(FieldRequired, rule0+".action")},
		"unknown action": {failing(`{"action":"Explode","onErrors":["a"]}`), bad(FieldNotSupported, rule0+".action")},
		"bad status":     {failing(`{"action":"Count","onPodConditions":[{"type":"A","status":"Maybe"}]}`), bad(FieldNotSupported, rule0+".onPodConditions[0].status")},
		"bad type":       {failing(`{"action":"Count","onPodConditions":[{"type":"a b"}]}`), invalid(rule0 + ".onPodConditions[0].type")},
		"B028 replacement policy with a failure policy": {
			`{"podReplacementPolicy":"TerminatingOrFailed","podFailurePolicy":{"rules":[]}}`, bad(FieldNotSupported, "spec.podReplacementPolicy"),
		},
		"replacement policy Failed":  {`{"podReplacementPolicy":"Failed","podFailurePolicy":{"rules":[]}}`, nil},
		"unknown replacement policy": {`{"podReplacementPolicy":"Never"}`, bad(FieldNotSupported, "spec.podReplacementPolicy")},
		"several rules, several fields": {
			failing(fine + `,{"action":"X","onErrors":["a"]},{}`),
			[]badField{
				{"spec.podFailurePolicy.rules[1].action", FieldNotSupported},
				{"spec.podFailurePolicy.rules[2].action", FieldRequired},
				{"spec.podFailurePolicy.rules[2]", FieldInvalid},
			},
		},
	})
}

func TestCreateSuccessPolicy(t *testing.T) {
	t.Parallel()
	const indexes, count = success0 + ".succeededIndexes", success0 + ".succeededCount"
	tests := map[string]createCase{
		"B029 NonIndexed":            {`{"completions":2,"successPolicy":{"rules":[{"succeededCount":1}]}}`, invalid("spec.successPolicy")},
		"B030 no rules":              {succeeding(``), bad(FieldRequired, "spec.successPolicy.rules")},
		"B030 20 rules":              {succeeding(repeated(`{"succeededCount":1}`, 20)), nil},
		"B030 21 rules":              {succeeding(repeated(`{"succeededCount":1}`, 21)), bad(FieldTooMany, "spec.successPolicy.rules")},
		"B031 empty rule":            {succeeding(`{}`), bad(FieldRequired, success0)},
		"empty indexes":              {succeeding(`{"succeededIndexes":""}`), nil},
		"adjacent":                   {succeeding(`{"succeededIndexes":"0-1,2-3"}`), nil},
		"long text":                  {succeeding(`{"succeededIndexes":"` + strings.Repeat("1", 64<<10+1) + `"}`), bad(FieldTooLong, indexes)},
		"B033 above completions":     {succeeding(`{"succeededCount":6}`), invalid(count)},
		"B033 above listed":          {succeeding(`{"succeededIndexes":"0,2-4","succeededCount":5}`), invalid(count)},
		"B033 as many as listed":     {succeeding(`{"succeededIndexes":"0,2-4","succeededCount":4}`), nil},
		"negative count":             {succeeding(`{"succeededCount":-1}`), invalid(count)},
		"zero, unlike in Kubernetes": {succeeding(`{"succeededCount":0}`), invalid(count)},
		"without completions": {
			`{"parallelism":1,"completionMode":"Indexed","successPolicy":{"rules":[{"succeededIndexes":"1","succeededCount":1}]}}`,
			bad(FieldRequired, "spec.completions"),
		},
	}
	for _, text := range []string{"3-1", "1,1", "5", "1-2-3", "2-2", "0-2,2-3", "x", "-1", "1,", "0-5", " 1"} {
		tests["B032 "+text] = createCase{succeeding(`{"succeededIndexes":"` + text + `"}`), invalid(indexes)}
	}
	testCreate(t, tests)
}

func TestCreateOurs(t *testing.T) {
	t.Parallel()
	testCreate(t, map[string]createCase{
		"negative durations": {`{"attemptTimeout":"-1s","delay":"-1s"}`, invalid("spec.attemptTimeout", "spec.delay")},
		"start and delay":    {`{"startAt":"2030-01-01T00:00:00Z","delay":"1s"}`, invalid("spec.delay")},
		"start":              {`{"startAt":"2030-01-01T00:00:00Z"}`, nil},
		"start before 1970":  {`{"startAt":"1969-12-31T23:59:59Z"}`, invalid("spec.startAt")},
	})
	late := JobSpec{StartAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}.withDefaults(0)
	require.Equal(t, invalid("spec.startAt"), badFields(t, validateCreate(late, "kind", 0)))
}

func TestCreateNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 61)
	testCreate(t, map[string]createCase{
		"253 bytes":                {`{"name":"` + strings.Repeat("n", 253) + `"}`, nil},
		"254 bytes":                {`{"name":"` + strings.Repeat("n", 254) + `"}`, invalid("metadata.name")},
		"subdomain":                {`{"name":"a-1.b"}`, nil},
		"upper":                    {`{"name":"A"}`, invalid("metadata.name")},
		"no part":                  {`{"name":"a..b"}`, invalid("metadata.name")},
		"bad start":                {`{"name":"-a"}`, invalid("metadata.name")},
		"bad end":                  {`{"name":"a-"}`, invalid("metadata.name")},
		"B035 index fits":          {`{"name":"` + long + `","completions":10,"completionMode":"Indexed"}`, nil},
		"B035 index does not fit":  {`{"name":"` + long + `","completions":11,"completionMode":"Indexed"}`, invalid("metadata.name")},
		"B035 no completions":      {`{"name":"` + long + `nn","completions":0,"completionMode":"Indexed"}`, nil},
		"B035 not for NonIndexed":  {`{"name":"` + long + `","completions":11}`, nil},
		"B035 a label has no dots": {`{"name":"a.b","completions":1,"completionMode":"Indexed"}`, invalid("metadata.name")},
	})
}

func TestCreateKindAndArgs(t *testing.T) {
	t.Parallel()
	spec := JobSpec{}.withDefaults(0)
	require.NoError(t, validateCreate(spec, "a", MaxArgsBytes))
	require.Equal(t, bad(FieldTooLong, "args"), badFields(t, validateCreate(spec, "a", MaxArgsBytes+1)))
	for _, kind := range []string{"a", "9", "a.b_c-d", "a--b", strings.Repeat("k", 63)} {
		require.NoError(t, validateKind(kind), kind)
		require.NoError(t, validateQueue(kind, Durability{Timeout: time.Second}), kind)
	}
	for _, kind := range []string{"A", "a b", "-a", "a.", "a{b}", "é", strings.Repeat("k", 64)} {
		require.Equal(t, invalid("kind"), badFields(t, validateKind(kind)), kind)
		require.Equal(t, invalid("kind"), badFields(t, validateCreate(spec, kind, 0)), kind)
		require.Equal(t, invalid("queue"), badFields(t, validateQueue(kind, Durability{Timeout: time.Second})), kind)
	}
	require.Equal(t, bad(FieldRequired, "kind"), badFields(t, validateKind("")))
	require.Equal(t, invalid("queue"), badFields(t, validateQueue("", Durability{Timeout: time.Second})))
}

func TestCreateMetadata(t *testing.T) {
	t.Parallel()
	many := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("k%d", i)] = ""
		}
		return m
	}
	one := func(k, v string) map[string]string { return map[string]string{k: v} }
	k63, p253 := strings.Repeat("k", 63), strings.Repeat("p", 253)
	tests := map[string]struct {
		labels, annotations map[string]string
		want                []badField
	}{
		"64 each":              {many(64), many(64), nil},
		"65 each":              {many(65), many(65), bad(FieldTooMany, "metadata.labels", "metadata.annotations")},
		"longest key":          {one(p253+"/"+k63, k63), one(p253+"/"+k63, ""), nil},
		"key too long":         {one(k63+"k", ""), one(k63+"k", ""), invalid("metadata.labels", "metadata.annotations")},
		"prefix too long":      {one(p253+"p/k", ""), nil, invalid("metadata.labels")},
		"empty prefix":         {one("/k", ""), nil, invalid("metadata.labels")},
		"two slashes":          {one("a/b/c", ""), nil, invalid("metadata.labels")},
		"empty key":            {one("", ""), one("", ""), invalid("metadata.labels", "metadata.annotations")},
		"upper-case prefix":    {one("A.b/k", ""), nil, invalid("metadata.labels")},
		"annotation's prefix":  {nil, one("A.b/k", ""), nil},
		"value too long":       {one("k", k63+"v"), nil, invalid("metadata.labels[k]")},
		"value with a space":   {one("k", "a b"), one("k", "a b"), invalid("metadata.labels[k]")},
		"annotations at size":  {nil, one("k", strings.Repeat("v", 64<<10-1)), nil},
		"annotations too big":  {nil, one("k", strings.Repeat("v", 64<<10)), bad(FieldTooLong, "metadata.annotations")},
		"small if not encoded": {nil, one("k", strings.Repeat("<", 64<<10-1)), bad(FieldTooLong, "spec")},
		"several, in order": {
			map[string]string{"b": "?", "a": "?", "-": "ok"},
			nil,
			invalid("metadata.labels", "metadata.labels[a]", "metadata.labels[b]"),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := JobSpec{Labels: tt.labels, Annotations: tt.annotations}.withDefaults(0)
			require.Equal(t, tt.want, badFields(t, validateCreate(spec, "kind", 0)))
			require.Equal(t, tt.want, badFields(t, validateUpdate(JobSpec{}.withDefaults(0), spec)))
		})
	}
}

func TestB036Warnings(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spec string
		want string // in the only warning; empty: none
	}{
		"nothing":             {`{}`, ""},
		"B036":                {`{"completions":200000,"parallelism":20000,"completionMode":"Indexed"}`, "spec.parallelism: "},
		"B036 NonIndexed":     {`{"completions":200000,"parallelism":20000}`, ""},
		"B036 at the limits":  {`{"completions":100000,"parallelism":20000,"completionMode":"Indexed"}`, ""},
		"B036 low parallel":   {`{"completions":200000,"parallelism":10000,"completionMode":"Indexed"}`, ""},
		"name not a label":    {`{"name":"a.b"}`, "metadata.name: "},
		"rule never holds":    {succeeding(`{"succeededIndexes":""}`), success0 + ".succeededIndexes: "},
		"bad specs are borne": {`{"parallelism":-1,"completionMode":"Indexed"}`, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := specOf(t, tt.spec)
			got := Warnings(spec)
			if tt.want == "" {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			require.Contains(t, got[0], tt.want)
			require.NoError(t, validateCreate(spec.withDefaults(0), "kind", 0), "a warning is no error")
		})
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	const indexed4 = `{"completions":4,"parallelism":4,"completionMode":"Indexed","successPolicy":{"rules":[{"succeededCount":3}]}}`
	tests := map[string]struct {
		from, patch string // the patch is merged into the spec as it is stored
		want        []badField
	}{
		"B038 completion mode": {`{"completions":3}`, `{"completionMode":"Indexed"}`, invalid("spec.completionMode")},
		"B038 adding a failure policy": {
			`{"completions":3}`, `{"podFailurePolicy":{"rules":[{"action":"FailJob","onExitCodes":{"operator":"In","values":[42]}}]}}`,
			[]badField{{"spec.podReplacementPolicy", FieldNotSupported}, {"spec.podFailurePolicy", FieldInvalid}},
		},
		"B038 success policy": {
			`{"completions":3,"completionMode":"Indexed","successPolicy":{"rules":[{"succeededCount":2}]}}`,
			`{"successPolicy":{"rules":[{"succeededCount":1}]}}`, invalid("spec.successPolicy"),
		},
		"B038 limit per index": {
			`{"completions":3,"completionMode":"Indexed"}`, `{"backoffLimitPerIndex":1}`, invalid("spec.backoffLimitPerIndex"),
		},
		"name and delay":                   {`{"name":"a"}`, `{"name":"b","delay":"1s"}`, invalid("metadata.name", "spec.delay")},
		"B039 completions of NonIndexed":   {`{"completions":3}`, `{"completions":4}`, invalid("spec.completions")},
		"B039 completions removed":         {`{"completions":3}`, `{"completions":null}`, invalid("spec.completions")},
		"Indexed completions removed":      {`{"completions":3,"completionMode":"Indexed"}`, `{"completions":null}`, bad(FieldRequired, "spec.completions")},
		"B040 in tandem":                   {`{"completions":3,"parallelism":3,"completionMode":"Indexed"}`, `{"completions":4,"parallelism":4}`, nil},
		"B041 completions alone":           {`{"completions":3,"parallelism":3,"completionMode":"Indexed"}`, `{"completions":4}`, invalid("spec.completions")},
		"B042 they differed before":        {`{"completions":5,"parallelism":2,"completionMode":"Indexed"}`, `{"completions":4,"parallelism":4}`, nil},
		"B043 below the success policy":    {indexed4, `{"completions":2,"parallelism":2}`, invalid(success0 + ".succeededCount")},
		"B043 below a listed index":        {`{"completions":5,"parallelism":5,"completionMode":"Indexed","successPolicy":{"rules":[{"succeededIndexes":"4"}]}}`, `{"completions":4,"parallelism":4}`, invalid(success0 + ".succeededIndexes")},
		"B044 mutable":                     {`{"completions":3}`, `{"parallelism":2,"backoffLimit":1,"activeDeadlineSeconds":100,"ttlAfterFinished":"5s","suspend":true,"podReplacementPolicy":"Failed"}`, nil},
		"B044 max failed":                  {`{"completions":3,"completionMode":"Indexed","backoffLimitPerIndex":1}`, `{"maxFailedIndexes":1}`, nil},
		"ours that are mutable":            {`{"completions":3}`, `{"labels":{"a":"b"},"annotations":{"a":"b"},"attemptTimeout":"1s","startAt":"2030-01-01T00:00:00Z","backoff":{"initial":"1s"},"lostLimit":1,"lostCounts":true}`, nil},
		"an invalid value":                 {`{"completions":3}`, `{"parallelism":-1,"backoffLimit":-1}`, invalid("spec.parallelism", "spec.backoffLimit")},
		"nothing":                          {indexed4, `{}`, nil},
		"the same policy, differently put": {failing(``), `{"podFailurePolicy":{"rules":[]}}`, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := specOf(t, tt.from).withDefaults(time.Hour), specOf(t, tt.from).withDefaults(time.Hour)
			require.NoError(t, json.Unmarshal([]byte(tt.patch), &to))
			to = to.withDefaults(time.Hour)
			require.Equal(t, tt.want, badFields(t, validateUpdate(from, to)))
		})
	}
}

func TestImmutableTellsTheValue(t *testing.T) {
	t.Parallel()
	from := JobSpec{Name: "a", Completions: new(3)}.withDefaults(0)
	to := JobSpec{Name: "b", Completions: new(4)}.withDefaults(0)
	require.EqualError(t, validateUpdate(from, to), `stint: invalid: spec.completions: Invalid value: 4: is immutable; `+
		`metadata.name: Invalid value: "b": is immutable`)
	to = JobSpec{Name: "a", Parallelism: new(1)}.withDefaults(0)
	require.EqualError(t, validateUpdate(from, to), `stint: invalid: spec.completions: Invalid value: is immutable`)
}
