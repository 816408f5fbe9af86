package selector

import "strings"

// Lengths of names, in bytes, as Kubernetes has them.
const (
	maxName   = 63
	maxPrefix = 253
)

func isLower(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
func isAlnum(c byte) bool { return isLower(c) || c >= 'A' && c <= 'Z' }

// isName tells what a value, or a key behind its prefix, is spelled like.
func isName(s string) bool {
	if s == "" || len(s) > maxName || !isAlnum(s[0]) || !isAlnum(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("-_.", s[i]) < 0 {
			return false
		}
	}
	return true
}

// isKey tells "name" and "example.com/name".
func isKey(s string) bool {
	prefix, name, found := strings.Cut(s, "/")
	if !found {
		return isName(s)
	}
	return isPrefix(prefix) && isName(name)
}

// isPrefix tells a DNS subdomain; its parts may be of any length in it.
func isPrefix(s string) bool {
	if len(s) > maxPrefix {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || !isLower(part[0]) || !isLower(part[len(part)-1]) {
			return false
		}
		for i := range len(part) {
			if !isLower(part[i]) && part[i] != '-' {
				return false
			}
		}
	}
	return true
}
