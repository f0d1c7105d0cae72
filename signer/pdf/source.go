package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rubrica-firma/rubrica/policies"
)

const (
	// blockSize is how much is read at once.
	blockSize = 16 << 10
	// maxBlocks is how many blocks are kept: 1 MiB together.
	maxBlocks = 64
)

// source reads a document in blocks and keeps the latest of them.
type source struct {
	r      io.ReaderAt
	size   int64
	blocks map[int64][]byte
	order  []int64
	err    error // the first failure to read, which is not the document's fault
}

// from gives what stands at an offset up to the end of its block; nothing at
// the end of the document.
func (s *source) from(at int64) []byte {
	if at < 0 || at >= s.size || s.err != nil {
		return nil
	}
	start := at - at%blockSize
	block, ok := s.blocks[start]
	if !ok {
		block = make([]byte, min(blockSize, s.size-start))
		if n, err := s.r.ReadAt(block, start); n < len(block) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			s.err = fmt.Errorf("reading the document: %w", err)
			return nil
		}
		if len(s.order) == maxBlocks {
			delete(s.blocks, s.order[0])
			s.order = slices.Delete(s.order, 0, 1)
		}
		s.blocks[start], s.order = block, append(s.order, start)
	}
	return block[at-start:]
}

// span copies the octets between two offsets that are not far apart.
func (s *source) span(from, to int64) []byte {
	from, to = max(from, 0), min(to, s.size)
	out := make([]byte, 0, max(0, to-from))
	for at := from; at < to; at = from + int64(len(out)) {
		block := s.from(at)
		if len(block) == 0 {
			break
		}
		out = append(out, block[:min(int64(len(block)), to-at)]...)
	}
	return out
}

// find gives the first offset from which what stands, or -1.
func (s *source) find(what []byte, from, to int64) int64 {
	to = min(to, s.size)
	for at := from; at < to; at += blockSize {
		part := s.span(at, min(to, at+blockSize+int64(len(what))-1))
		if i := bytes.Index(part, what); i >= 0 {
			return at + int64(i)
		}
	}
	return -1
}

// findLast gives the last offset from which what stands between two offsets, or -1.
func (s *source) findLast(what []byte, from, to int64) int64 {
	for at := to; at > from; at -= blockSize {
		start := max(from, at-blockSize)
		part := s.span(start, min(to, at+int64(len(what))-1))
		if i := bytes.LastIndex(part, what); i >= 0 {
			return start + int64(i)
		}
	}
	return -1
}

func (s *source) damaged(reason string) error {
	if s.err != nil {
		return s.err
	}
	return refuse(policies.DocumentDamaged, reason)
}

// refuse tells operators a reason beside the code; citizens read the catalogue.
func refuse(code policies.Code, reason string) error {
	if reason == "" {
		return policies.Refuse(code)
	}
	return policies.Refuse(code, "reason", reason)
}

// Part is a piece of a file that is put together from several.
type Part struct {
	Reader io.ReaderAt
	Size   int64
}

// Octets is a Part that is in memory, such as an update.
func Octets(b []byte) Part { return Part{bytes.NewReader(b), int64(len(b))} }

// Join reads parts one behind the other as one file: an original and its updates.
func Join(parts ...Part) *io.SectionReader {
	j := joined(slices.Clone(parts))
	size := int64(0)
	for _, p := range j {
		size += p.Size
	}
	return io.NewSectionReader(j, 0, size)
}

type joined []Part

func (j joined) ReadAt(b []byte, at int64) (n int, err error) {
	for _, p := range j {
		if at >= p.Size {
			at -= p.Size
			continue
		}
		if n == len(b) {
			return n, nil
		}
		want := min(int64(len(b)-n), p.Size-at)
		got, err := p.Reader.ReadAt(b[n:n+int(want)], at)
		n += got
		if int64(got) < want {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return n, fmt.Errorf("reading a part: %w", err)
		}
		at = 0
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// cache keeps what was used lately, of which it knows the cost. It is two
// generations: when the younger is full, the older is forgotten.
type cache[V any] struct {
	limit      int
	cost       int
	young, old map[int]V
}

func newCache[V any](limit int) *cache[V] {
	return &cache[V]{limit: limit, young: map[int]V{}}
}

func (c *cache[V]) get(key int) (V, bool) {
	if v, ok := c.young[key]; ok {
		return v, true
	}
	v, ok := c.old[key]
	return v, ok
}

func (c *cache[V]) put(key int, v V, cost int) {
	if c.cost += cost; c.cost > c.limit/2 {
		c.old, c.young, c.cost = c.young, map[int]V{}, cost
	}
	c.young[key] = v
}
