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
	maxCost = 24 << 20
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

// integerAfter reads a keyword and an integer.
func (l *lexer) integerAfter(word string) (int64, error) {
	if !l.word(word) {
		return 0, errSyntax
	}
	return l.integer()
}

// word reads a keyword and says whether it is the one that is wanted.
func (l *lexer) word(want string) bool {
	l.skipSpace()
	return string(l.regular()) == want
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
