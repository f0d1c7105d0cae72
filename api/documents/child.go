package documents

import (
	"crypto/x509"
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

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/inspect"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pdf"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// A job goes to the child's standard input as a frame, four octets of length and
// JSON. Its document is open already, as descriptor documentFile: the child reads
// of it what it needs. The reply is a frame, and the update behind it.
type job struct {
	Kind     kind          `json:"kind"`
	Options  pades.Options `json:"options,omitzero"`   // kindPrepare
	Hole     int           `json:"hole,omitempty"`     // kindTimeStamp
	Anchors  [][]byte      `json:"anchors,omitempty"`  // kindSignatures
	Evidence []evidence    `json:"evidence,omitempty"` // kindEvidence
	Verify   *questioned   `json:"verify,omitempty"`   // kindVerify
	Memory   int64         `json:"memory"`
	CPU      int64         `json:"cpu"`
}

type kind string

const (
	kindProbe      kind = "probe"
	kindInspect    kind = "inspect"
	kindPrepare    kind = "prepare"
	kindSignatures kind = "signatures"
	kindEvidence   kind = "evidence"
	kindTimeStamp  kind = "timestamp"
	kindVerify     kind = "verify"
)

type reply struct {
	Refusal    *refusal       `json:"refusal,omitempty"`
	Facts      Facts          `json:"facts,omitzero"`
	Layout     pades.Layout   `json:"layout,omitzero"`
	Signatures []augment.Held `json:"signatures,omitempty"`
	Report     *verify.Report `json:"report,omitempty"`
	Open       []pair         `json:"open,omitempty"` // what the report lacks
}

// evidence is an augment.VRI, in DER.
type evidence struct {
	Contents     []byte   `json:"contents"`
	Certificates [][]byte `json:"certificates,omitempty"`
	OCSPs        [][]byte `json:"ocsps,omitempty"`
	CRLs         [][]byte `json:"crls,omitempty"`
}

func raw(certificates []*x509.Certificate) [][]byte {
	list := make([][]byte, len(certificates))
	for i, certificate := range certificates {
		list[i] = certificate.Raw
	}
	return list
}

func parse(list [][]byte) ([]*x509.Certificate, error) {
	certificates := make([]*x509.Certificate, len(list))
	for i, der := range list {
		var err error
		if certificates[i], err = x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("reading a certificate: %w", err)
		}
	}
	return certificates, nil
}

type refusal struct {
	Code   policies.Code     `json:"code"`
	Params map[string]string `json:"params,omitempty"`
	Source string            `json:"source,omitempty"`
}

func (r *refusal) refusal() error {
	return &policies.Refusal{Code: r.Code, Params: r.Params, Source: r.Source}
}

// documentFile is the descriptor of the document, contentFile that of what a
// detached signature is of.
const (
	documentFile = 3
	contentFile  = 4
)

// Exit statuses besides 0.
const (
	exitProtocol = 70  // ours: the parent does not speak our protocol
	exitRange    = 99  // poppler's: no such page
	exitNotRun   = 126 // of prlimit and setpriv, this and 127: the program could not be run
)

const (
	maxFrame  = 16 << 20
	maxUpdate = 16 << 20
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
	if j.Kind == kindProbe {
		return 0
	}
	file := os.NewFile(documentFile, "document")
	if file == nil {
		return exitProtocol
	}
	status, err := file.Stat()
	if err != nil {
		return exitProtocol
	}
	answer, update, err := do(j, file, status.Size())
	var no *policies.Refusal
	switch {
	case errors.As(err, &no):
		answer, update = reply{Refusal: &refusal{Code: no.Code, Params: no.Params, Source: no.Source}}, nil
	case err != nil:
		return exitProtocol
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

// do is a job without its frames: what it answers, and what is to be appended to
// the document.
func do(j job, content io.ReaderAt, size int64) (answer reply, update []byte, err error) {
	if j.Kind == kindVerify {
		answer, err = judgeSignatures(j.Verify, content, size)
		return answer, nil, err
	}
	f, err := pdf.Open(content, size)
	if err != nil {
		return answer, nil, err
	}
	switch j.Kind {
	case kindInspect:
		if answer.Facts.Facts, err = pades.Describe(f); err != nil {
			return answer, nil, err
		}
		answer.Facts.Findings, err = look(f, answer.Facts.Facts)
		return answer, nil, err
	case kindPrepare:
		p, err := pades.Prepare(f, j.Options)
		if err != nil {
			return answer, nil, err
		}
		answer.Facts.Facts, answer.Layout = p.Facts, p.Layout
		answer.Facts.Findings, err = look(f, p.Facts)
		return answer, p.Update, err
	case kindSignatures:
		anchors, err := parse(j.Anchors)
		if err != nil {
			return answer, nil, err
		}
		answer.Signatures, err = augment.Signatures(f, anchors)
		return answer, nil, err
	case kindEvidence:
		update, err = addEvidence(f, j.Evidence)
		return answer, update, err
	case kindTimeStamp:
		p, err := pades.PrepareTimeStamp(f, j.Hole)
		if err != nil {
			return answer, nil, err
		}
		answer.Layout = p.Layout
		return answer, p.Update, nil
	case kindProbe, kindVerify: // done before
	}
	return answer, nil, fmt.Errorf("a job of kind %q: %w", j.Kind, errors.ErrUnsupported)
}

// look says what is in a document that a signer should know. A page tree that
// holds other pages than it counts is refused: some programs show what there is,
// others, poppler among them, what is counted.
func look(f *pdf.File, facts pades.Facts) ([]policies.Finding, error) {
	_, catalog := f.Catalog()
	tree, err := f.Dict(catalog["Pages"])
	if err != nil {
		return nil, err
	}
	switch count, err := f.Int(tree["Count"], 0); {
	case err != nil:
		return nil, err
	case count != int64(len(facts.Pages)):
		return nil, policies.Refuse(policies.DocumentDamaged, "reason", "the page tree counts other pages than it has")
	}
	report, err := inspect.File(f)
	return report.Findings, err
}

func addEvidence(f *pdf.File, about []evidence) ([]byte, error) {
	list := make([]pades.VRI, len(about))
	for i, e := range about {
		certificates, err := parse(e.Certificates)
		if err != nil {
			return nil, err
		}
		list[i] = pades.VRI{Contents: e.Contents, Certificates: certificates, OCSPs: e.OCSPs, CRLs: e.CRLs}
	}
	return pades.AddEvidence(f, list, cades.Evidence{})
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
