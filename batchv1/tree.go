package batchv1

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v2"
)

// Bounds of what is read. A few bytes of YAML can stand for many, by aliases:
// the third bounds what they come to.
const (
	maxDepth     = 100
	maxExpanded  = 4 << 20 // values, and bytes of text
	maxDocuments = 10_000
)

// A tree is made of nil, bool, int64, float64, string, []any and
// map[string]any, none of which has two parents.

// parse reads all documents. JSON is read as such, for its error messages and
// its numbers, and anything else as YAML. Empty documents are left out.
func parse(data []byte) ([]any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("is not UTF-8 text")
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if json.Valid(data) {
		doc, err := parseJSON(data)
		if doc == nil {
			return nil, err
		}
		return []any{doc}, err
	}
	return parseYAML(data)
}

func parseYAML(data []byte) ([]any, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.SetStrict(true) // a key that is given twice is an error
	grow := growth{left: maxExpanded}
	var docs []any
	for range maxDocuments {
		var raw any
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		doc, err := grow.tree(raw, 0)
		if err != nil {
			return nil, err
		}
		if doc != nil {
			docs = append(docs, doc)
		}
	}
	return nil, fmt.Errorf("has more than %d documents", maxDocuments)
}

// growth turns what the YAML parser made into trees, within bounds.
type growth struct{ left int }

func (g *growth) take(n, depth int) error {
	if g.left -= n + 1; g.left < 0 {
		return fmt.Errorf("is more than %d bytes once its aliases are filled in", maxExpanded)
	}
	if depth > maxDepth {
		return errTooDeep()
	}
	return nil
}

func errTooDeep() error { return fmt.Errorf("is nested deeper than %d levels", maxDepth) }

func (g *growth) tree(raw any, depth int) (any, error) {
	text, _ := raw.(string)
	if err := g.take(len(text), depth); err != nil {
		return nil, err
	}
	switch v := raw.(type) {
	case nil, bool, int64:
		return v, nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("has the number %v, which JSON does not know", v)
		}
		return v, nil
	case string:
		if !utf8.ValidString(v) {
			return nil, errors.New("has binary data that is not UTF-8 text")
		}
		return v, nil
	case int:
		return int64(v), nil
	case uint64: // more than an int64 holds
		return float64(v), nil
	case []any:
		return g.list(v, depth)
	case map[any]any:
		return g.object(v, depth)
	default:
		return nil, fmt.Errorf("has a value of type %T", v)
	}
}

func (g *growth) list(raw []any, depth int) (any, error) {
	out := make([]any, len(raw))
	for i, item := range raw {
		var err error
		if out[i], err = g.tree(item, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (g *growth) object(raw map[any]any, depth int) (any, error) {
	out := make(map[string]any, len(raw))
	for k, item := range raw {
		key, err := keyText(k)
		if err == nil {
			err = g.take(len(key), depth)
		}
		if err != nil {
			return nil, err
		}
		if _, ok := out[key]; ok {
			return nil, fmt.Errorf("has the key %.100q twice", key)
		}
		if out[key], err = g.tree(item, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// keyText is a key as JSON has it, as Kubernetes reads YAML.
func keyText(k any) (string, error) {
	switch v := k.(type) {
	case string:
		if !utf8.ValidString(v) {
			return "", errors.New("has a key that is not UTF-8 text")
		}
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case uint64:
		return strconv.FormatUint(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	default:
		return "", fmt.Errorf("has a key of type %T, which is no text", v)
	}
}

// parseJSON reads valid JSON. It reads token by token, as only so a key that
// is given twice is seen.
func parseJSON(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return jsonValue(dec, 0)
}

func jsonValue(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errTooDeep()
	}
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '[' {
			return jsonList(dec, depth)
		}
		return jsonObject(dec, depth)
	case json.Number:
		return jsonNumber(v)
	default:
		return v, nil
	}
}

// jsonNumber is an int64 if it is written as one, as for Kubernetes.
func jsonNumber(n json.Number) (any, error) {
	if whole, err := n.Int64(); err == nil {
		return whole, nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil, fmt.Errorf("has the number %.100s, which is too large", n)
	}
	return f, nil
}

func jsonList(dec *json.Decoder, depth int) (any, error) {
	out := []any{}
	for dec.More() {
		item, err := jsonValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	_, err := dec.Token()
	return out, err
}

func jsonObject(dec *json.Decoder, depth int) (any, error) {
	out := map[string]any{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string) // valid JSON has no other keys
		if _, ok := out[key]; ok {
			return nil, fmt.Errorf("has the key %.100q twice", key)
		}
		if out[key], err = jsonValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token()
	return out, err
}
