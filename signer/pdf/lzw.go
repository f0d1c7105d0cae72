package pdf

import (
	"bufio"
	"errors"
	"io"
)

const (
	lzwClear = 256
	lzwEnd   = 257
	lzwCodes = 4096
)

// lzw undoes LZWDecode (ISO 32000-2, 7.4.4): codes of 9 to 12 bits, the most
// significant first.
type lzw struct {
	r        *bufio.Reader
	early    int // EarlyChange: codes widen one code early
	bits     uint32
	have     int
	width    int
	next     int // the code that is defined next
	previous int // -1 behind a clear-table code
	prefix   [lzwCodes]uint16
	suffix   [lzwCodes]byte
	pending  []byte
	stack    [lzwCodes]byte
	done     bool
}

func newLZW(r io.Reader, early bool) *lzw {
	z := &lzw{r: bufio.NewReader(r)}
	if early {
		z.early = 1
	}
	z.clear()
	return z
}

func (z *lzw) clear() { z.width, z.next, z.previous = 9, lzwEnd+1, -1 }

func (z *lzw) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(z.pending) > 0 {
			copied := copy(p[n:], z.pending)
			n, z.pending = n+copied, z.pending[copied:]
			continue
		}
		if z.done {
			break
		}
		if err := z.step(); err != nil {
			return n, err
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// step reads one code.
func (z *lzw) step() error {
	for z.have < z.width {
		c, err := z.r.ReadByte()
		if errors.Is(err, io.EOF) {
			z.done = true
			return nil
		}
		if err != nil {
			return err
		}
		z.bits, z.have = z.bits<<8|uint32(c), z.have+8
	}
	z.have -= z.width
	code := int(z.bits>>z.have) & (1<<z.width - 1)
	switch {
	case code == lzwClear:
		z.clear()
		return nil
	case code == lzwEnd:
		z.done = true
		return nil
	case z.previous < 0 && code > 255, code > z.next, code == z.next && z.next >= lzwCodes:
		return errFilter
	}
	z.emit(code)
	return nil
}

// emit puts out what a code stands for and defines the next one.
func (z *lzw) emit(code int) {
	at := len(z.stack)
	from := code
	if code == z.next { // not yet defined: the previous one and its first octet again
		at--
		from = z.previous
	}
	for ; from > 255; from = int(z.prefix[from]) {
		at--
		z.stack[at] = z.suffix[from]
	}
	at--
	first := byte(from) //nolint:gosec // below 256
	z.stack[at] = first
	if code == z.next {
		z.stack[len(z.stack)-1] = first
	}
	z.pending = z.stack[at:]
	if z.previous >= 0 && z.next < lzwCodes {
		z.prefix[z.next], z.suffix[z.next] = uint16(z.previous), first //nolint:gosec // below lzwCodes
		z.next++
	}
	z.previous = code
	if z.next+z.early >= 1<<z.width && z.width < 12 {
		z.width++
	}
}
