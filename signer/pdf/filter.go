package pdf

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/ascii85"
	"errors"
	"fmt"
	"io"

	"github.com/rubrica-firma/rubrica/policies"
)

// maxFilters bounds the filters of one stream.
const maxFilters = 8

// Filters names the filters of a stream, in the order in which they are undone.
func (f *File) Filters(s *Stream) ([]Name, error) {
	names, _, err := f.filters(s)
	return names, err
}

func (f *File) filters(s *Stream) ([]Name, []Dict, error) {
	filters, err := f.oneOrMore(s.Dict["Filter"])
	if err != nil {
		return nil, nil, err
	}
	params, err := f.oneOrMore(s.Dict["DecodeParms"])
	if err != nil {
		return nil, nil, err
	}
	if len(filters) > maxFilters {
		return nil, nil, refuse(policies.DocumentTooComplex, "filters")
	}
	names := make([]Name, len(filters))
	dicts := make([]Dict, len(filters))
	for i, filter := range filters {
		if names[i], err = f.Name(filter); err != nil {
			return nil, nil, err
		}
		if i < len(params) {
			if dicts[i], err = f.Dict(params[i]); err != nil {
				return nil, nil, err
			}
		}
	}
	return names, dicts, nil
}

// oneOrMore is an array of what may stand there alone.
func (f *File) oneOrMore(o Object) (Array, error) {
	o, err := f.Resolve(o)
	if err != nil || o == nil {
		return nil, err
	}
	if list, ok := o.(Array); ok {
		return list, nil
	}
	return Array{o}, nil
}

// Raw reads the data of a stream as they stand, filters and all.
func (f *File) Raw(s *Stream) io.Reader {
	if s.data != nil {
		return bytes.NewReader(s.data)
	}
	return io.NewSectionReader(f.src.r, s.at, s.length)
}

// Data gives the data of a stream without their filters. More than limit
// octets, even in between, is DocumentTooComplex; filters of images are
// DocumentUnsupported.
func (f *File) Data(s *Stream, limit int64) ([]byte, error) {
	r, err := f.Decoded(s, limit)
	if err != nil {
		return nil, err
	}
	return readAll(r, limit)
}

// Decoded is Data to be read; the bound between filters holds, that of what
// comes out is the reader's.
func (f *File) Decoded(s *Stream, limit int64) (io.Reader, error) {
	r, err := f.decode(s, limit)
	if err != nil {
		return nil, err
	}
	return judged{r, f}, nil
}

// judged makes a refusal of data that cannot be read.
type judged struct {
	r io.Reader
	f *File
}

func (j judged) Read(b []byte) (int, error) {
	n, err := j.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = j.f.inflating(err)
	}
	return n, err
}

// readAll refuses more than a number of octets.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(data)) > limit {
		return nil, refuse(policies.DocumentTooComplex, "inflates too far")
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// decode undoes filters one behind the other. What stands between two of them
// is bounded too: notations in text are up to three times as long as what they
// say, white space included.
func (f *File) decode(s *Stream, limit int64) (io.Reader, error) {
	if s.Dict["F"] != nil {
		return nil, refuse(policies.DocumentUnsupported, "stream data outside the file")
	}
	names, params, err := f.filters(s)
	if err != nil {
		return nil, err
	}
	r := io.Reader(&sourced{f.Raw(s), f.src})
	for i, name := range names {
		if i > 0 {
			r = &bounded{r: r, left: 3*limit + blockSize}
		}
		if r, err = f.undo(r, name, params[i]); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// sourced remembers what the reader of the file says.
type sourced struct {
	r   io.Reader
	src *source
}

func (s *sourced) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) && s.src.err == nil {
		s.src.err = fmt.Errorf("reading the document: %w", err)
	}
	return n, err
}

// bounded refuses to read on.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, refuse(policies.DocumentTooComplex, "inflates too far")
	}
	return n, err
}

func (f *File) undo(r io.Reader, name Name, params Dict) (io.Reader, error) {
	switch name {
	case "FlateDecode", "Fl":
		inflated, err := inflate(r)
		if err != nil {
			return nil, f.inflating(err)
		}
		return f.unpredict(inflated, params)
	case "LZWDecode", "LZW":
		early, err := f.Int(params["EarlyChange"], 1)
		if err != nil {
			return nil, err
		}
		return f.unpredict(newLZW(r, early != 0), params)
	case "ASCIIHexDecode", "AHx":
		return &asciiHex{r: bufio.NewReader(r)}, nil
	case "ASCII85Decode", "A85":
		return ascii85.NewDecoder(&untilTilde{r: bufio.NewReader(r)}), nil
	case "RunLengthDecode", "RL":
		return &runLength{r: bufio.NewReader(r)}, nil
	case "Crypt":
		if kind, err := f.Name(params["Name"]); err != nil || kind != "" && kind != "Identity" {
			return nil, policies.Refuse(policies.DocumentEncrypted)
		}
		return r, nil
	default:
		return nil, refuse(policies.DocumentUnsupported, "a filter of images")
	}
}

var errFilter = errors.New("filtered data")

// inflate reads zlib's format (RFC 1950) without its checksum, at which no
// viewer looks.
func inflate(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	head, err := buffered.Peek(2)
	if errors.Is(err, io.EOF) && len(head) == 0 {
		return buffered, nil
	}
	if err != nil {
		return nil, err
	}
	if head[0]&0x0f != 8 || (int(head[0])<<8|int(head[1]))%31 != 0 || head[1]&0x20 != 0 {
		return nil, errFilter
	}
	_, err = buffered.Discard(2)
	return flate.NewReader(buffered), err
}

// asciiHex undoes ASCIIHexDecode (ISO 32000-2, 7.4.2).
type asciiHex struct {
	r    *bufio.Reader
	done bool
}

func (a *asciiHex) Read(p []byte) (n int, err error) {
	for ; n < len(p) && !a.done; n++ {
		high, err := a.digit()
		if err != nil {
			return n, err
		}
		if a.done {
			break
		}
		low, err := a.digit()
		if err != nil {
			return n, err
		}
		p[n] = byte(high<<4 | low) //nolint:gosec // two nibbles
	}
	if n == 0 && a.done {
		return 0, io.EOF
	}
	return n, nil
}

// digit is 0 at the end, which completes an odd number of digits.
func (a *asciiHex) digit() (int, error) {
	for !a.done {
		c, err := a.r.ReadByte()
		switch {
		case errors.Is(err, io.EOF) || err == nil && c == '>':
			a.done = true
		case err != nil:
			return 0, err
		case isSpace(c):
		case nibble(c) < 0:
			return 0, errFilter
		default:
			return nibble(c), nil
		}
	}
	return 0, nil
}

// untilTilde ends where ASCII85Decode's data end (ISO 32000-2, 7.4.3).
type untilTilde struct {
	r    *bufio.Reader
	done bool
}

func (u *untilTilde) Read(p []byte) (int, error) {
	if u.done {
		return 0, io.EOF
	}
	n, err := u.r.Read(p)
	if i := bytes.IndexByte(p[:n], '~'); i >= 0 {
		u.done = true
		return i, nil
	}
	return n, err
}

// runLength undoes RunLengthDecode (ISO 32000-2, 7.4.5).
type runLength struct {
	r      *bufio.Reader
	left   int // octets of this run still to give
	repeat bool
	octet  byte
	done   bool
}

func (l *runLength) Read(p []byte) (n int, err error) {
	for n < len(p) && !l.done {
		if l.left == 0 {
			if err := l.run(); err != nil {
				return n, err
			}
			continue
		}
		if !l.repeat {
			if l.octet, err = l.r.ReadByte(); err != nil {
				return n, errFilter
			}
		}
		p[n] = l.octet
		n++
		l.left--
	}
	if n == 0 && l.done {
		return 0, io.EOF
	}
	return n, nil
}

func (l *runLength) run() error {
	length, err := l.r.ReadByte()
	switch {
	case errors.Is(err, io.EOF) || err == nil && length == 128:
		l.done = true
		return nil
	case err != nil:
		return err
	case length < 128:
		l.left, l.repeat = int(length)+1, false
		return nil
	}
	l.left, l.repeat = 257-int(length), true
	if l.octet, err = l.r.ReadByte(); err != nil {
		return errFilter
	}
	return nil
}
