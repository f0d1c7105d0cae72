package bench

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
)

// book is a PDF to be made: text on pages, in the structure that ordinary
// producers give them.
type book struct {
	pages int
	// packed puts all objects but streams into object streams, and the
	// cross-reference into a stream (PDF 1.5); else it is a table.
	packed bool
	// image is how many octets the picture on the first page has; 0 is none.
	image int
}

const (
	packedTogether = 100 // objects in an object stream
	fanout         = 10  // kids of a node of the page tree
	linesOnPage    = 40
)

// held makes a book in memory.
func (b book) held() ([]byte, error) {
	var out bytes.Buffer
	err := b.write(&out)
	return out.Bytes(), err
}

// file makes a book in a file, which is to be closed and removed.
func (b book) file(path string) (*os.File, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("making a document: %w", err)
	}
	buffered := bufio.NewWriterSize(file, 1<<20)
	if err := b.write(buffered); err != nil {
		return file, err
	}
	if err := buffered.Flush(); err != nil {
		return file, fmt.Errorf("making a document: %w", err)
	}
	_, err = file.Seek(0, io.SeekStart)
	return file, err
}

func (b book) write(w io.Writer) error {
	p := &printer{w: w, packed: b.packed}
	p.print("%%PDF-1.7\n%%\xe2\xe3\xcf\xd3\n")
	catalog, info, font := p.number(), p.number(), p.number()
	p.object(info, "<</Title (Expediente) /Producer (rubrica bench)>>")
	p.object(font, "<</Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding>>")
	picture := ""
	if b.image > 0 {
		picture = fmt.Sprintf(" /XObject <</Im1 %d 0 R>>", p.picture(b.image))
	}
	var kids []node
	for n := range b.pages {
		content := p.stream("/Filter /FlateDecode", deflated(pageText(n, picture != "")))
		kids = append(kids, node{1, p.number(), fmt.Sprintf(
			"/Type /Page /MediaBox [0 0 595 842] /Contents %d 0 R /Resources <</Font <</F1 %d 0 R>>%s>>", content, font, picture)})
		picture = ""
	}
	p.object(catalog, fmt.Sprintf("<</Type /Catalog /Pages %d 0 R>>", p.tree(kids)))
	p.end(catalog, info)
	return p.err
}

func pageText(n int, pictured bool) []byte {
	var text strings.Builder
	if pictured {
		text.WriteString("q 200 0 0 200 300 40 cm /Im1 Do Q\n")
	}
	text.WriteString("BT /F1 11 Tf 14 TL 60 780 Td\n")
	for line := range linesOnPage {
		fmt.Fprintf(&text, "(Folio %d, l\\355nea %d: lo que consta en el expediente %d.) Tj T*\n", n+1, line+1, 7919*(n+1)+line)
	}
	text.WriteString("ET\n")
	return []byte(text.String())
}

func deflated(data []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	_, _ = z.Write(data) // into memory
	_ = z.Close()
	return out.Bytes()
}

// node is one of the page tree.
type node struct {
	count, number int
	entries       string
}

// printer writes a PDF, octet after octet.
type printer struct {
	w      io.Writer
	packed bool
	at     int
	err    error

	entries []entry // by number - 1
	waiting []int   // numbers of objects for the next object stream
	bodies  []string
}

// entry is where an object is: an offset, or an object stream and an index in it.
type entry struct{ at, container, index int }

func (p *printer) number() int {
	p.entries = append(p.entries, entry{})
	return len(p.entries)
}

func (p *printer) print(format string, values ...any) { p.put(fmt.Appendf(nil, format, values...)) }

func (p *printer) put(data []byte) {
	if p.err != nil {
		return
	}
	n, err := p.w.Write(data)
	p.at += n
	if err != nil {
		p.err = fmt.Errorf("making a document: %w", err)
	}
}

func (p *printer) object(number int, body string) {
	if !p.packed {
		p.entries[number-1].at = p.at
		p.print("%d 0 obj\n%s\nendobj\n", number, body)
		return
	}
	p.waiting, p.bodies = append(p.waiting, number), append(p.bodies, body)
	if len(p.waiting) == packedTogether {
		p.pack()
	}
}

// pack writes those that wait into an object stream (ISO 32000-2, 7.5.7).
func (p *printer) pack() {
	if len(p.waiting) == 0 {
		return
	}
	var head, all strings.Builder
	for i, body := range p.bodies {
		fmt.Fprintf(&head, "%d %d ", p.waiting[i], all.Len())
		all.WriteString(body + "\n")
	}
	container := p.stream(fmt.Sprintf("/Type /ObjStm /N %d /First %d /Filter /FlateDecode", len(p.waiting), head.Len()),
		deflated([]byte(head.String()+all.String())))
	for i, number := range p.waiting {
		p.entries[number-1] = entry{container: container, index: i}
	}
	p.waiting, p.bodies = nil, nil
}

func (p *printer) stream(entries string, data []byte) int {
	number := p.number()
	p.open(number, entries, len(data))
	p.put(data)
	p.print("\nendstream\nendobj\n")
	return number
}

func (p *printer) open(number int, entries string, size int) {
	p.entries[number-1].at = p.at
	p.print("%d 0 obj\n<<%s /Length %d>>\nstream\n", number, entries, size)
}

// picture is noise, as incompressible as pictures are, in rows of a thousand.
func (p *printer) picture(size int) int {
	number := p.number()
	size -= size % 1000
	p.open(number, fmt.Sprintf("/Type /XObject /Subtype /Image /Width 1000 /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8", size/1000), size)
	noise, block := rand.NewChaCha8([32]byte{}), make([]byte, 1<<16)
	for left := size; left > 0; left -= len(block) {
		block = block[:min(left, len(block))]
		_, _ = noise.Read(block) // never fails
		p.put(block)
	}
	p.print("\nendstream\nendobj\n")
	return number
}

// tree writes the page tree from its leaves and gives its root.
func (p *printer) tree(nodes []node) int {
	for top := false; !top; {
		top = len(nodes) <= fanout
		var above []node
		for kids := range slices.Chunk(nodes, fanout) {
			parent := node{number: p.number()}
			var list strings.Builder
			for _, kid := range kids {
				fmt.Fprintf(&list, " %d 0 R", kid.number)
				parent.count += kid.count
				p.object(kid.number, fmt.Sprintf("<<%s /Parent %d 0 R>>", kid.entries, parent.number))
			}
			parent.entries = fmt.Sprintf("/Type /Pages /Count %d /Kids [%s]", parent.count, list.String())
			above = append(above, parent)
		}
		nodes = above
	}
	p.object(nodes[0].number, "<<"+nodes[0].entries+">>")
	return nodes[0].number
}

// end writes the cross-reference and the trailer.
func (p *printer) end(catalog, info int) {
	id := strings.Repeat("0123456789abcdef", 2)
	trailer := fmt.Sprintf("/Root %d 0 R /Info %d 0 R /ID [<%s> <%s>]", catalog, info, id, id)
	p.pack()
	if p.packed {
		number := p.number()
		start := p.at
		p.entries[number-1].at = start
		table := []byte{0, 0, 0, 0, 0, 0xff, 0xff}
		for _, e := range p.entries {
			kind, where := byte(1), e.at
			if e.container > 0 {
				kind, where = 2, e.container
			}
			table = binary.BigEndian.AppendUint32(append(table, kind), uint32(where)) //nolint:gosec // far from 4 GB
			table = binary.BigEndian.AppendUint16(table, uint16(e.index))             //nolint:gosec // below packedTogether
		}
		data := deflated(table)
		p.open(number, fmt.Sprintf("/Type /XRef /Size %d /W [1 4 2] /Filter /FlateDecode %s", len(p.entries)+1, trailer), len(data))
		p.put(data)
		p.print("\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n", start)
		return
	}
	start := p.at
	p.print("xref\n0 %d\n0000000000 65535 f \n", len(p.entries)+1)
	for _, e := range p.entries {
		p.print("%010d 00000 n \n", e.at)
	}
	p.print("trailer\n<</Size %d %s>>\nstartxref\n%d\n%%%%EOF\n", len(p.entries)+1, trailer, start)
}
