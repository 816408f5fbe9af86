package selector

import (
	"fmt"
	"slices"
	"strconv"
)

// Error says where a selector cannot be read.
type Error struct {
	Position int    // of the byte, from 1
	Found    string // "" at the end
	Expected string // in words
}

// Error reads like `position 5: found ")", expected a value`.
func (e *Error) Error() string {
	const most = 80
	found := "the end"
	if e.Found != "" {
		found = strconv.Quote(e.Found[:min(len(e.Found), most)])
	}
	return fmt.Sprintf("position %d: found %s, expected %s", e.Position, found, e.Expected)
}

// What is expected where, in words.
const (
	aKey       = "a key: a name of at most 63 letters, digits, '-', '_' and '.', with an optional DNS subdomain and '/' before it"
	aValue     = "a value: at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
	anOperator = "'=', '==', '!=', 'in', 'notin', ',' or the end"
)

// Parse reads a selector; an empty text chooses everything. What it cannot
// read is an [*Error].
func Parse(text string) (Selector, error) {
	p := parser{text: text}
	p.advance()
	if p.next.text == "" {
		return Selector{}, nil
	}
	var all []requirement
	for {
		if len(all) == MaxRequirements {
			return Selector{}, p.expected(fmt.Sprintf("at most %d requirements", MaxRequirements))
		}
		r, err := p.requirement()
		if err != nil {
			return Selector{}, err
		}
		all = append(all, r)
		if p.next.text == "" {
			return Selector{canonical(all)}, nil
		}
		if !p.take(",") {
			return Selector{}, p.expected("',' or the end")
		}
	}
}

// parser looks one token ahead.
type parser struct {
	text string
	end  int // of next
	next token
}

func (p *parser) advance() { p.next, p.end = lex(p.text, p.end) }

// take goes on if the next token is this one. A word and a symbol never have
// the same text.
func (p *parser) take(text string) bool {
	if p.next.text != text {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expected(what string) error {
	return &Error{Position: p.next.at + 1, Found: p.next.text, Expected: what}
}

func (p *parser) requirement() (r requirement, err error) {
	if p.take("!") {
		r.op = missing
		r.key, err = p.key()
		return r, err
	}
	if r.key, err = p.key(); err != nil {
		return r, err
	}
	switch {
	case p.next.text == "" || p.next.text == ",":
		return r, nil
	case p.take("=") || p.take("=="):
		r.op = among
	case p.take("!="):
		r.op = outside
	case p.take("in"):
		r.op = among
		r.values, err = p.set()
		return r, err
	case p.take("notin"):
		r.op = outside
		r.values, err = p.set()
		return r, err
	default:
		return r, p.expected(anOperator)
	}
	value, err := p.value()
	r.values = []string{value}
	return r, err
}

// key reads a key. Words of the language are keys where one is expected.
func (p *parser) key() (string, error) {
	t := p.next
	if !t.word || !isKey(t.text) {
		return "", p.expected(aKey)
	}
	p.advance()
	return t.text, nil
}

// value reads a value, which may be left out: then it is empty.
func (p *parser) value() (string, error) {
	t := p.next
	switch {
	case t.text == "" || t.text == "," || t.text == ")":
		return "", nil
	case !t.word || !isName(t.text):
		return "", p.expected(aValue)
	}
	p.advance()
	return t.text, nil
}

// set reads values in parentheses; nothing in them is one empty value, as in
// Kubernetes.
func (p *parser) set() ([]string, error) {
	if !p.take("(") {
		return nil, p.expected("'('")
	}
	var values []string
	for {
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		values = append(values, value)
		if p.take(")") {
			slices.Sort(values)
			return slices.Compact(values), nil
		}
		if !p.take(",") {
			return nil, p.expected("',' or ')'")
		}
	}
}
