package dashboard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/seal"
)

// manifestOf writes what a job was submitted with as YAML, in stint's words.
func manifestOf(j *stint.Job) (string, error) {
	spec := j.Spec
	spec.Name = ""
	form := struct {
		Name  string          `json:"name"`
		Queue string          `json:"queue"`
		Kind  string          `json:"kind"`
		Args  json.RawMessage `json:"args,omitempty"`
		Spec  stint.JobSpec   `json:"spec"`
	}{Name: j.Name, Queue: j.Queue, Kind: j.Kind, Spec: spec}
	if json.Valid(j.Args) {
		form.Args = j.Args
	} else if len(j.Args) > 0 {
		form.Args, _ = json.Marshal(printable(j.Args)) // of a string
	}
	data, err := json.Marshal(form)
	if err != nil {
		return "", err
	}
	return yamlOf(data)
}

// yamlOf writes JSON as YAML, with its members in their order. JSON's own
// strings and numbers are YAML too, so that only the layout changes.
func yamlOf(data []byte) (string, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var out strings.Builder
	w := yamlWriter{dec: dec, out: &out}
	if err := w.value(0, false); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimPrefix(out.String(), "\n"), nil
}

type yamlWriter struct {
	dec *json.Decoder
	out *strings.Builder
}

// value writes what comes next. In a list it stands behind "- " already.
func (w *yamlWriter) value(indent int, inList bool) error {
	token, err := w.dec.Token()
	if err != nil {
		return err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		fmt.Fprintf(w.out, " %s\n", scalar(token))
		return nil
	}
	if !w.dec.More() {
		fmt.Fprintf(w.out, " %s\n", map[json.Delim]string{'{': "{}", '[': "[]"}[delim])
		_, err = w.dec.Token()
		return err
	}
	if !inList {
		w.out.WriteByte('\n')
	}
	for first := true; w.dec.More(); first = false {
		pad := strings.Repeat(" ", indent)
		if first && inList {
			pad = " "
		}
		if delim == '[' {
			w.out.WriteString(pad + "-")
			err = w.value(indent+2, true)
		} else if err = w.key(pad, indent); err == nil {
			err = w.value(indent+2, false)
		}
		if err != nil {
			return err
		}
	}
	_, err = w.dec.Token()
	return err
}

// maxPlainKey is how long a key may be that a parser need not be told of: YAML
// allows 1,024 characters.
const maxPlainKey = 1000

func (w *yamlWriter) key(pad string, indent int) error {
	token, err := w.dec.Token()
	if err != nil {
		return err
	}
	key := scalar(token)
	if len(key) > maxPlainKey {
		key = "? " + key + "\n" + strings.Repeat(" ", indent)
	}
	w.out.WriteString(pad + key + ":")
	return nil
}

// plain are strings that YAML reads as such without quotes, whatever its
// version: words that are no numbers, truth values or the like.
var (
	plain    = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./-]*$`)
	reserved = regexp.MustCompile(`^(?i:true|false|yes|no|on|off|y|n|null|nan|inf)$`)
)

func scalar(token json.Token) string {
	switch v := token.(type) {
	case string:
		if plain.MatchString(v) && !reserved.MatchString(v) {
			return v
		}
		return quoted(v)
	case nil:
		return "null"
	default:
		return fmt.Sprint(v)
	}
}

// quoted is a string within double quotes, where JSON's escapes are YAML's
// too. YAML wants more of them: JSON leaves DEL and the like as they are.
func quoted(s string) string {
	var data bytes.Buffer
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // of a string
	var out strings.Builder
	for _, r := range strings.TrimSuffix(data.String(), "\n") {
		switch {
		case unicode.IsPrint(r):
			out.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&out, `\U%08x`, r)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

// encrypted stands for what only the application can read.
const encrypted = "[encrypted]"

// printable is data as a text that can be shown: JSON indented, other text as
// it is, and the size of anything else.
func printable(data []byte) string {
	const most = 16 << 10
	var out bytes.Buffer
	switch {
	case len(data) == 0:
		return ""
	case seal.Is(data):
		return encrypted
	case json.Indent(&out, data, "", "  ") == nil:
		data = out.Bytes()
	case !isText(data):
		return fmt.Sprintf("[%d bytes that are no text]", len(data))
	}
	if len(data) > most {
		return strings.ToValidUTF8(string(data[:most]), "") + fmt.Sprintf("\n… and %s more", count(len(data)-most, "byte"))
	}
	return string(data)
}

func isText(data []byte) bool {
	return utf8.Valid(data) && !bytes.ContainsFunc(data, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) })
}
