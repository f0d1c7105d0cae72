package documents

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pades"
)

// A job goes to the child as a frame, four octets of length and JSON, and the
// document behind it. The reply is a frame and the update behind it.
type job struct {
	Kind    kind          `json:"kind"`
	Options pades.Options `json:"options"`
	Memory  int64         `json:"memory"`
	CPU     int64         `json:"cpu"`
}

type kind string

const (
	kindProbe   kind = "probe"
	kindPrepare kind = "prepare"
)

type reply struct {
	Refusal    *refusal     `json:"refusal,omitempty"`
	Layout     pades.Layout `json:"layout"`
	Pages      []pades.Page `json:"pages,omitempty"`
	Title      string       `json:"title,omitempty"`
	Signatures int          `json:"signatures,omitempty"`
}

type refusal struct {
	Code   policies.Code     `json:"code"`
	Params map[string]string `json:"params,omitempty"`
}

func (r *refusal) refusal() error { return &policies.Refusal{Code: r.Code, Params: r.Params} }

// Exit statuses besides 0.
const (
	exitProtocol = 70  // ours: the parent does not speak our protocol
	exitRange    = 99  // poppler's: no such page
	exitNotRun   = 126 // of prlimit and setpriv, this and 127: the program could not be run
)

const (
	maxFrame  = 4 << 20
	maxUpdate = 8 << 20
	// maxStack lets a recursion over a hostile document end early.
	maxStack = 32 << 20
	maxFiles = 64
)

// Main is the child: it reads one job from stdin, does it under the job's limits,
// and returns the exit status. Nothing it meets is worth a message: what a
// document says does not belong into a log.
func Main(stdin io.Reader, stdout io.Writer) int {
	var j job
	if err := decodeFrame(stdin, &j); err != nil {
		return exitProtocol
	}
	if err := limit(j); err != nil {
		return exitProtocol
	}
	switch j.Kind {
	case kindProbe:
		return 0
	case kindPrepare:
		content, err := io.ReadAll(stdin)
		if err != nil {
			return exitProtocol
		}
		return prepare(stdout, content, j.Options)
	default:
		return exitProtocol
	}
}

func prepare(stdout io.Writer, content []byte, o pades.Options) int {
	var answer reply
	var update []byte
	p, err := pades.Prepare(content, o)
	var no *policies.Refusal
	switch {
	case errors.As(err, &no):
		answer.Refusal = &refusal{Code: no.Code, Params: no.Params}
	case err != nil:
		return exitProtocol
	default:
		answer.Layout, answer.Pages, answer.Title = p.Layout, p.Inspection.Pages, p.Inspection.Title
		answer.Signatures = p.Inspection.Signatures
		update = p.Content[p.Layout.Original:]
	}
	header, err := encodeFrame(answer)
	if err != nil {
		return exitProtocol
	}
	for _, part := range [][]byte{header, update} {
		if _, err := stdout.Write(part); err != nil {
			return exitProtocol
		}
	}
	return 0
}

// limit binds this process.
func limit(j job) error {
	memory := uint64(max(j.Memory, 0))
	reserved, err := addressSpace()
	if err != nil {
		return err
	}
	memory += reserved
	debug.SetMemoryLimit(j.Memory * 3 / 4)
	debug.SetMaxStack(maxStack)
	cpu := uint64(max(j.CPU, 1))
	for _, l := range []struct {
		resource int
		value    uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_FSIZE, 0},
		{unix.RLIMIT_NOFILE, maxFiles},
		{unix.RLIMIT_CPU, cpu},
		{unix.RLIMIT_AS, memory},
	} {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.value, Max: l.value}); err != nil {
			return fmt.Errorf("setting limit %d: %w", l.resource, err)
		}
	}
	// Nothing that is executed from here on gains a privilege.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("giving up privileges: %w", err)
	}
	return nil
}

// addressSpace is what the Go runtime has reserved already, most of it never used.
func addressSpace() (uint64, error) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, fmt.Errorf("reading the size of the process: %w", err)
	}
	pages, _, _ := strings.Cut(string(statm), " ")
	n, err := strconv.ParseUint(pages, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the size of the process: %w", err)
	}
	return n * uint64(os.Getpagesize()), nil //nolint:gosec // a page size is positive
}

func encodeFrame(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding a frame: %w", err)
	}
	if len(body) > maxFrame {
		return nil, fmt.Errorf("encoding a frame of %d octets: %w", len(body), io.ErrShortBuffer)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...), nil //nolint:gosec // at most maxFrame
}

// decodeFrame reads exactly one frame, not an octet more.
func decodeFrame(r io.Reader, v any) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return fmt.Errorf("reading a frame: %w", err)
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame {
		return fmt.Errorf("reading a frame of %d octets: %w", n, io.ErrUnexpectedEOF)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return fmt.Errorf("reading a frame: %w", err)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("decoding a frame: %w", err)
	}
	return nil
}
