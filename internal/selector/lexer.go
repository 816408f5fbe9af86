package selector

import "strings"

// token is a word, a symbol, or the end, whose text is empty.
type token struct {
	text string
	word bool
	at   int // offset of its first byte
}

// symbols part words; a doubled one is a token of its own where it is listed.
const symbols = "=!(),<>"

// blank is what may stand between tokens.
const blank = " \t\r\n"

// lex reads the token at or after an offset, and says where it ends.
func lex(text string, from int) (t token, end int) {
	for from < len(text) && strings.IndexByte(blank, text[from]) >= 0 {
		from++
	}
	if from == len(text) {
		return token{at: from}, from
	}
	if strings.IndexByte(symbols, text[from]) >= 0 {
		end = from + 1
		if two := text[from:min(from+2, len(text))]; two == "==" || two == "!=" {
			end++
		}
		return token{text: text[from:end], at: from}, end
	}
	end = from
	for end < len(text) && strings.IndexByte(symbols+blank, text[end]) < 0 {
		end++
	}
	return token{text: text[from:end], word: true, at: from}, end
}
