package pdf

import (
	"errors"
)

var (
	// errSyntax is any departure from the syntax of ISO 32000-2, 7.2 and 7.3. No
	// repair is tried: what one reader repairs, another shows differently.
	errSyntax = errors.New("PDF syntax")
	// errTooLarge is an object that would need more memory than any honest one.
	errTooLarge = errors.New("PDF object too large")
)

const (
	// maxNesting bounds arrays and dictionaries inside each other.
	maxNesting = 100
	// maxObject bounds the octets of one object, stream data apart.
	maxObject = 16 << 20
	// maxCost bounds the memory of one object.
	maxCost = 48 << 20
)

// What objects cost in memory, roughly, in octets.
const (
	costMember = 32
	costKey    = 64
	costDict   = 320
)

// lexer reads objects from data, or from a source block by block.
type lexer struct {
	src  *source // nil: data is all there is
	data []byte
	base int64 // where data stands
	pos  int
	end  int64 // offset where reading ends
	cost int   // of the objects read so far
	max  int   // what they may cost
}

// keyword is a token that is no object: obj, endobj, stream, R, xref …
type keyword string

// closing marks the end of an array or a dictionary.
type closing string

func (s *source) lexer(at int64) *lexer {
	return &lexer{src: s, base: at, end: min(s.size, at+maxObject), max: maxCost}
}

func memoryLexer(data []byte) *lexer {
	return &lexer{data: data, end: int64(len(data)), max: maxCost}
}

func (l *lexer) at() int64 { return l.base + int64(l.pos) }

func (l *lexer) seek(at int64) {
	if at >= l.base && at <= l.base+int64(len(l.data)) {
		l.pos = int(at - l.base)
		return
	}
	l.data, l.base, l.pos = nil, at, 0
}

// peek gives the next octet without taking it.
func (l *lexer) peek() (byte, bool) {
	if l.pos < len(l.data) {
		return l.data[l.pos], true
	}
	at := l.at()
	if l.src == nil || at >= l.end {
		return 0, false
	}
	block := l.src.from(at)
	if len(block) == 0 {
		return 0, false
	}
	l.data, l.base, l.pos = block[:min(int64(len(block)), l.end-at)], at, 0
	return l.data[0], true
}

func (l *lexer) take(c byte) bool {
	if next, ok := l.peek(); !ok || next != c {
		return false
	}
	l.pos++
	return true
}

func (l *lexer) spend(n int) error {
	if l.cost += n; l.cost > l.max {
		return errTooLarge
	}
	return nil
}

func (l *lexer) skipSpace() {
	for {
		switch c, ok := l.peek(); {
		case ok && isSpace(c):
			l.pos++
		case ok && c == '%':
			for ; ok && c != '\n' && c != '\r'; c, ok = l.peek() {
				l.pos++
			}
		default:
			return
		}
	}
}

// object reads one object; references are recognised.
func (l *lexer) object(depth int) (Object, error) {
	token, err := l.token(depth)
	if err != nil {
		return nil, err
	}
	return l.value(token)
}

// value is the object that begins with a token.
func (l *lexer) value(token any) (Object, error) {
	switch v := token.(type) {
	case int64:
		return l.reference(v), nil
	case keyword:
		switch v {
		case "true":
			return true, nil
		case "false":
			return false, nil
		case "null":
			return nil, nil
		default:
			return nil, errSyntax
		}
	case closing:
		return nil, errSyntax
	default:
		return token, nil
	}
}

// reference looks whether an integer begins "n g R".
func (l *lexer) reference(number int64) Object {
	if number < 0 || number > maxNumber {
		return number
	}
	start := l.at()
	generation, err := l.integer()
	if err == nil && generation >= 0 && generation <= 65535 {
		l.skipSpace()
		if word := l.regular(); len(word) == 1 && word[0] == 'R' {
			return Ref{int(number), int(generation)}
		}
	}
	l.seek(start)
	return number
}

func (l *lexer) integer() (int64, error) {
	l.skipSpace()
	n, ok := number(l.regular()).(int64)
	if !ok {
		return 0, errSyntax
	}
	return n, nil
}

// want reads a keyword.
func (l *lexer) want(word keyword) error {
	l.skipSpace()
	if keyword(l.regular()) != word {
		return errSyntax
	}
	return nil
}

// token reads an object without looking for references, a keyword or a closing bracket.
func (l *lexer) token(depth int) (any, error) {
	l.skipSpace()
	c, ok := l.peek()
	if !ok {
		return nil, l.atEnd()
	}
	switch c {
	case '/':
		l.pos++
		return l.name()
	case '(':
		return l.literal()
	case '[':
		l.pos++
		return l.array(depth + 1)
	case ']':
		l.pos++
		return closing("]"), nil
	case '<':
		if l.pos++; l.take('<') {
			return l.dict(depth + 1)
		}
		return l.hexadecimal()
	case '>':
		if l.pos++; l.take('>') {
			return closing(">>"), nil
		}
		return nil, errSyntax
	case ')', '{', '}':
		return nil, errSyntax
	}
	word := l.regular()
	if n := number(word); n != nil {
		return n, nil
	}
	return keyword(word), nil
}

// atEnd says why nothing follows.
func (l *lexer) atEnd() error {
	if l.src != nil && l.at() < l.src.size && l.src.err == nil {
		return errTooLarge
	}
	return errSyntax
}

// regular reads up to the next space or delimiter.
func (l *lexer) regular() []byte {
	var word []byte
	for {
		if _, ok := l.peek(); !ok {
			return word
		}
		start := l.pos
		for l.pos < len(l.data) && !isSpace(l.data[l.pos]) && !isDelimiter(l.data[l.pos]) {
			l.pos++
		}
		part := l.data[start:l.pos:l.pos]
		if word == nil {
			word = part
		} else {
			word = append(word, part...)
		}
		if l.pos < len(l.data) {
			return word
		}
	}
}

// number gives int64, Real, or nil for what is no number.
func number(word []byte) Object {
	digits, points := 0, 0
	n := int64(0)
	for i, c := range word {
		switch {
		case c >= '0' && c <= '9':
			digits++
			n = n*10 + int64(c-'0')
		case c == '.':
			points++
		case (c == '+' || c == '-') && i == 0:
		default:
			return nil
		}
	}
	switch {
	case digits == 0 || points > 1 || len(word) > 32:
		return nil
	case points == 1:
		return Real(word)
	case digits > 18:
		return nil
	case word[0] == '-':
		return -n
	default:
		return n
	}
}

func (l *lexer) name() (any, error) {
	raw := l.regular()
	if err := l.spend(len(raw)); err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '#' {
			out = append(out, raw[i])
			continue
		}
		if i+2 >= len(raw) {
			return nil, errSyntax
		}
		high, low := nibble(raw[i+1]), nibble(raw[i+2])
		if high < 0 || low < 0 || high+low == 0 {
			return nil, errSyntax
		}
		out, i = append(out, byte(high<<4|low)), i+2 //nolint:gosec // two nibbles
	}
	return Name(out), nil
}

func nibble(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	default:
		return -1
	}
}

func (l *lexer) array(depth int) (any, error) {
	if depth > maxNesting {
		return nil, errSyntax
	}
	out := Array{}
	for {
		token, err := l.token(depth)
		if err != nil {
			return nil, err
		}
		if token == closing("]") {
			return out, nil
		}
		member, err := l.value(token)
		if err != nil {
			return nil, err
		}
		if err := l.spend(costMember); err != nil {
			return nil, err
		}
		out = append(out, member)
	}
}

func (l *lexer) dict(depth int) (any, error) {
	if depth > maxNesting {
		return nil, errSyntax
	}
	if err := l.spend(costDict); err != nil {
		return nil, err
	}
	out := Dict{}
	for {
		key, done, err := l.key(depth)
		if err != nil || done {
			return out, err
		}
		value, err := l.object(depth)
		if err != nil {
			return nil, err
		}
		// Readers differ on which of two equal keys counts.
		if _, twice := out[key]; twice {
			return nil, errSyntax
		}
		if err := l.spend(costKey); err != nil {
			return nil, err
		}
		out[key] = value
	}
}

// key reads a dictionary's next key, or its end.
func (l *lexer) key(depth int) (key Name, done bool, err error) {
	token, err := l.token(depth)
	if err != nil {
		return "", false, err
	}
	if token == closing(">>") {
		return "", true, nil
	}
	key, ok := token.(Name)
	if !ok {
		return "", false, errSyntax
	}
	return key, false, nil
}

func (l *lexer) hexadecimal() (any, error) {
	var out []byte
	high := -1
	for {
		c, ok := l.peek()
		if !ok {
			return nil, l.atEnd()
		}
		l.pos++
		if isSpace(c) {
			continue
		}
		if c == '>' {
			break
		}
		digit := nibble(c)
		switch {
		case digit < 0:
			return nil, errSyntax
		case high < 0:
			high = digit
		default:
			out, high = append(out, byte(high<<4|digit)), -1 //nolint:gosec // two nibbles
		}
	}
	if high >= 0 {
		out = append(out, byte(high<<4))
	}
	return String(out), l.spend(2 * len(out))
}

// literal reads a string in parentheses (ISO 32000-2, 7.3.4.2).
func (l *lexer) literal() (any, error) {
	var out []byte
	for depth := 0; ; {
		c, ok := l.peek()
		if !ok {
			return nil, l.atEnd()
		}
		l.pos++
		switch c {
		case '(':
			if depth++; depth == 1 {
				continue
			}
		case ')':
			if depth--; depth == 0 {
				return String(out), l.spend(2 * len(out))
			}
		case '\\':
			out = l.escape(out)
			continue
		case '\r':
			l.take('\n')
			c = '\n'
		}
		out = append(out, c)
	}
}

func (l *lexer) escape(out []byte) []byte {
	c, ok := l.peek()
	if !ok {
		return out
	}
	l.pos++
	switch c {
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	case 'b':
		return append(out, '\b')
	case 'f':
		return append(out, '\f')
	case '\n':
		return out
	case '\r':
		l.take('\n')
		return out
	}
	if c < '0' || c > '7' {
		return append(out, c)
	}
	value := int(c - '0')
	for range 2 {
		c, ok := l.peek()
		if !ok || c < '0' || c > '7' {
			break
		}
		value = value<<3 | int(c-'0')
		l.pos++
	}
	return append(out, byte(value)) //nolint:gosec // ISO 32000-2, 7.3.4.2: high-order overflow is ignored
}
