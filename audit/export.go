package audit

import (
	"bufio"
	"encoding/base64"
	"encoding/csv"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// exportVersion is the version of the form of an export.
const exportVersion = 1

// maxLine is the longest line of an export that is read.
const maxLine = 4 << 20

// ErrExport is an export that cannot be read: cut off, or no export.
var ErrExport = errors.New("not a whole export of the log")

// ExportHeader is the first line of an export: what was asked, and the
// checkpoint under which its entries are proved. All of it but the checkpoint,
// which is signed, is the word of whoever made it.
type ExportHeader struct {
	Version    int            `json:"export"`
	Query      map[string]any `json:"query"`
	Origin     string         `json:"origin"`
	Checkpoint string         `json:"checkpoint"`          // the signed note
	Timestamp  []byte         `json:"timestamp,omitempty"` // RFC 3161 token of the note as the log signed it
	Policy     string         `json:"policy,omitempty"`    // the deployment's; a verifier has one of their own
	From       int64          `json:"from"`
	To         int64          `json:"to"` // after the last entry asked for
	// Complete promises every leaf of [From, To): no line has a proof, Edge has
	// what the first one builds on (Edge), and the trailer the end.
	Complete bool     `json:"complete"`
	Edge     [][]byte `json:"edge,omitempty"`
}

// ExportEntry is one line of an export. Payload and Salt are absent where the
// entry is erased, or was not asked for and is there for completeness.
type ExportEntry struct {
	Seq     int64    `json:"seq"`
	Leaf    []byte   `json:"leaf"`
	Payload []byte   `json:"payload,omitempty"`
	Salt    []byte   `json:"salt,omitempty"`
	Proof   [][]byte `json:"proof,omitempty"`
}

// ExportTrailer is the last line: without it an export was cut off.
type ExportTrailer struct {
	End     bool  `json:"end"`
	Entries int64 `json:"entries"`
	// Next is the first number that the export does not cover because it had to
	// end before To; nil if it covers all that was asked.
	Next *int64 `json:"next"`
	// Consistency proves that the checkpoint begins with the entries up to the end
	// of a complete range.
	Consistency [][]byte `json:"consistency,omitempty"`
}

// Columns are those of an export as CSV, which has one row an entry under them.
// The first five are for reading and say what leaf and payload say; proof has
// the hashes one after another, parted by blanks. Header and trailer stand in a
// companion, an export of JSON Lines with no entries.
func Columns() []string {
	return []string{"seq", "at", "type", "operation", "person", "leaf", "payload", "salt", "proof"}
}

// Row is the entry as a row of CSV.
func (e ExportEntry) Row() ([]string, error) {
	leaf, err := ParseLeaf(e.Leaf)
	if err != nil {
		return nil, fmt.Errorf("writing entry %d as CSV: %w", e.Seq, err)
	}
	person, err := personOf(e.Payload)
	if err != nil {
		return nil, fmt.Errorf("writing entry %d as CSV: %w", e.Seq, err)
	}
	proof := make([]string, len(e.Proof))
	for i, h := range e.Proof {
		proof[i] = base64.StdEncoding.EncodeToString(h)
	}
	return []string{
		strconv.FormatInt(e.Seq, 10), leaf.At.Format(timeForm), string(leaf.Type), leaf.Operation, person,
		string(e.Leaf), string(e.Payload), base64.StdEncoding.EncodeToString(e.Salt), strings.Join(proof, " "),
	}, nil
}

// personOf is the person that a payload commits to, empty for none.
func personOf(payload []byte) (string, error) {
	var committed struct {
		Person string `json:"person"`
	}
	if len(payload) == 0 {
		return "", nil
	}
	err := json.Unmarshal(payload, &committed)
	return committed.Person, err
}

// Hashes reads hashes as an export has them.
func Hashes(encoded [][]byte) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(encoded))
	for i, h := range encoded {
		if len(h) != tlog.HashSize {
			return nil, fmt.Errorf("%w: a hash of %d octets", ErrExport, len(h))
		}
		hashes[i] = tlog.Hash(h)
	}
	return hashes, nil
}

// EncodeHashes writes hashes as an export has them.
func EncodeHashes(hashes []tlog.Hash) [][]byte {
	encoded := make([][]byte, len(hashes))
	for i := range hashes {
		encoded[i] = hashes[i][:]
	}
	return encoded
}

// ExportReader reads an export line by line. It checks its form, not what it
// proves.
type ExportReader struct {
	Header ExportHeader
	// Trailer is set after Next has returned io.EOF.
	Trailer ExportTrailer

	lines   *bufio.Scanner
	rows    *csv.Reader // nil for JSON Lines
	entries int64
}

// NewExportReader reads the header of an export as JSON Lines.
func NewExportReader(r io.Reader) (*ExportReader, error) {
	e := &ExportReader{lines: bufio.NewScanner(r)}
	e.lines.Buffer(nil, maxLine)
	if err := e.line(&e.Header); err != nil {
		return nil, fmt.Errorf("reading the first line: %w", err)
	}
	h := e.Header
	switch {
	case h.Version != exportVersion:
		return nil, fmt.Errorf("%w: version %d, this program knows %d", ErrExport, h.Version, exportVersion)
	case h.From < 0 || h.To < h.From:
		return nil, fmt.Errorf("%w: entries from %d to %d", ErrExport, h.From, h.To)
	}
	return e, nil
}

// NewCSVReader reads an export as CSV with its companion.
func NewCSVReader(rows, companion io.Reader) (*ExportReader, error) {
	e, err := NewExportReader(companion)
	if err != nil {
		return nil, fmt.Errorf("reading the companion: %w", err)
	}
	var t ExportTrailer
	if err := e.line(&t); err != nil {
		return nil, fmt.Errorf("reading the companion: %w", err)
	}
	if err := e.end(t); err != nil {
		return nil, fmt.Errorf("reading the companion: %w", err)
	}
	e.rows = csv.NewReader(rows)
	e.rows.ReuseRecord = true
	columns, err := e.rows.Read()
	if err != nil || !slices.Equal(columns, Columns()) {
		return nil, fmt.Errorf("%w: its columns are not %s", ErrExport, strings.Join(Columns(), ","))
	}
	return e, nil
}

// Next is the next entry, io.EOF after the last one of a whole export.
func (e *ExportReader) Next() (ExportEntry, error) {
	if e.rows != nil {
		return e.nextRow()
	}
	if e.Trailer.End {
		return ExportEntry{}, io.EOF
	}
	var line struct {
		ExportEntry
		ExportTrailer
	}
	if err := e.line(&line); err != nil {
		return ExportEntry{}, fmt.Errorf("after %d entries: %w", e.entries, err)
	}
	if !line.End {
		e.entries++
		return line.ExportEntry, nil
	}
	if line.Leaf != nil {
		return ExportEntry{}, fmt.Errorf("%w: its last line has an entry", ErrExport)
	}
	if line.Entries != e.entries {
		return ExportEntry{}, fmt.Errorf("%w: it has %d entries, and says %d", ErrExport, e.entries, line.Entries)
	}
	if err := e.end(line.ExportTrailer); err != nil {
		return ExportEntry{}, err
	}
	return ExportEntry{}, io.EOF
}

// end takes the trailer, which must be the last line.
func (e *ExportReader) end(t ExportTrailer) error {
	if !t.End {
		return fmt.Errorf("%w: its last line is missing", ErrExport)
	}
	if e.lines.Scan() || e.lines.Err() != nil {
		return fmt.Errorf("%w: lines after its last", ErrExport)
	}
	if t.Next != nil && (*t.Next < e.Header.From || *t.Next > e.Header.To) {
		return fmt.Errorf("%w: it goes on at %d", ErrExport, *t.Next)
	}
	e.Trailer = t
	return nil
}

func (e *ExportReader) line(into any) error {
	if !e.lines.Scan() {
		return fmt.Errorf("%w: it was cut off: %w", ErrExport, orEOF(e.lines.Err()))
	}
	if err := json.Unmarshal(e.lines.Bytes(), into, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("%w: %w", ErrExport, err)
	}
	return nil
}

func orEOF(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (e *ExportReader) nextRow() (ExportEntry, error) {
	row, err := e.rows.Read()
	if errors.Is(err, io.EOF) {
		if e.entries != e.Trailer.Entries {
			return ExportEntry{}, fmt.Errorf("%w: it has %d entries, and says %d", ErrExport, e.entries, e.Trailer.Entries)
		}
		return ExportEntry{}, io.EOF
	}
	if err != nil {
		return ExportEntry{}, fmt.Errorf("%w: %w", ErrExport, err)
	}
	e.entries++
	entry, err := parseRow(row)
	if err != nil {
		return ExportEntry{}, fmt.Errorf("row %d: %w", e.entries, err)
	}
	return entry, nil
}

// parseRow also refuses a row whose readable columns are not what leaf and
// payload say: they are what a person believes.
func parseRow(row []string) (ExportEntry, error) {
	var entry ExportEntry
	var err error
	if entry.Seq, err = strconv.ParseInt(row[0], 10, 64); err != nil {
		return ExportEntry{}, fmt.Errorf("%w: number %q", ErrExport, row[0])
	}
	entry.Leaf = []byte(row[5])
	if row[6] != "" {
		entry.Payload = []byte(row[6])
	}
	if row[7] != "" {
		if entry.Salt, err = base64.StdEncoding.Strict().DecodeString(row[7]); err != nil {
			return ExportEntry{}, fmt.Errorf("%w: salt: %w", ErrExport, err)
		}
	}
	for h := range strings.FieldsSeq(row[8]) {
		hash, err := base64.StdEncoding.Strict().DecodeString(h)
		if err != nil {
			return ExportEntry{}, fmt.Errorf("%w: proof: %w", ErrExport, err)
		}
		entry.Proof = append(entry.Proof, hash)
	}
	again, err := entry.Row()
	if err != nil {
		return ExportEntry{}, fmt.Errorf("%w: %w", ErrExport, err)
	}
	for i, column := range Columns() {
		if again[i] != row[i] {
			return ExportEntry{}, fmt.Errorf("%w: column %s is not what leaf and payload say", ErrExport, column)
		}
	}
	return entry, nil
}
