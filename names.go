package stint

import (
	"crypto/rand"
	"strings"
)

// Lengths of names, in bytes, as Kubernetes has them.
const (
	maxLabelBytes     = 63  // a DNS label; also kinds, queues and label values
	maxSubdomainBytes = 253 // a DNS subdomain
)

// The grammars, for error messages.
const (
	subdomainRule     = "must be a DNS-1123 subdomain: at most 253 lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or digit"
	wordRule          = "must be at most 63 lower-case letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
	labelValueRule    = "must be at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
	qualifiedNameRule = "must be a name of at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, with an optional DNS subdomain and '/' before it"
)

func isLower(c byte) bool    { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
func isAlnum(c byte) bool    { return isLower(c) || c >= 'A' && c <= 'Z' }
func isInLabel(c byte) bool  { return isLower(c) || c == '-' }
func isInWord(c byte) bool   { return isInLabel(c) || c == '_' || c == '.' }
func isInLabels(c byte) bool { return isInWord(c) || isAlnum(c) }

// spelled tells whether s has 1..most bytes, all of them inner and the first
// and last edge too.
func spelled(s string, most int, inner, edge func(byte) bool) bool {
	if s == "" || len(s) > most || !edge(s[0]) || !edge(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !inner(s[i]) {
			return false
		}
	}
	return true
}

// isDNSLabel is Kubernetes's DNS-1123 label.
func isDNSLabel(s string) bool { return spelled(s, maxLabelBytes, isInLabel, isLower) }

// isDNSSubdomain is Kubernetes's DNS-1123 subdomain. Its parts may be longer
// than a label, as there.
func isDNSSubdomain(s string) bool {
	if len(s) > maxSubdomainBytes {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if !spelled(part, maxSubdomainBytes, isInLabel, isLower) {
			return false
		}
	}
	return true
}

// isWord is what kinds and queues are called.
func isWord(s string) bool { return spelled(s, maxLabelBytes, isInWord, isLower) }

// isErrorName is what registered errors are called.
func isErrorName(s string) bool { return spelled(s, maxLabelBytes, isInLabels, isAlnum) }

// isLabelValue is Kubernetes's: it may be empty.
func isLabelValue(s string) bool { return s == "" || isErrorName(s) }

// isQualifiedName is Kubernetes's: "name" or "example.com/name".
func isQualifiedName(s string) bool {
	prefix, name, found := strings.Cut(s, "/")
	if !found {
		name = s
	} else if !isDNSSubdomain(prefix) {
		return false
	}
	return isErrorName(name)
}

// generateName makes a job's name of its kind and 65 random bits. It is a DNS
// label, also with the highest index of an Indexed job behind it.
func generateName(kind string) string {
	const (
		random = 13 // base32 digits
		index  = len("-2147483646")
		room   = maxLabelBytes - index - random - len("-")
	)
	prefix := strings.NewReplacer("_", "-", ".", "-").Replace(kind[:min(len(kind), room)])
	return strings.TrimRight(prefix, "-") + "-" + strings.ToLower(rand.Text()[:random])
}
