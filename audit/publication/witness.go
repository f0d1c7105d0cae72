package publication

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
)

// answerLimit bounds what a witness may say: a note with many cosignatures of
// ML-DSA has some thousand octets each.
const answerLimit = 64 << 10

// Errors of a witness.
var (
	// errInconsistent is its word that our log does not begin with what it saw.
	errInconsistent = errors.New("the witness has seen another log")
	errConflict     = errors.New("the witness is at another size")
)

// witness speaks C2SP tlog-witness with one.
type witness struct {
	audit.Witness

	client *http.Client
}

// latest asks for the last checkpoint that it cosigned ("Monitor Retrieval
// Mechanism"), nil if there is none.
func (w witness) latest(ctx context.Context, origin string) ([]byte, error) {
	hash := sha256.Sum256([]byte(origin))
	status, body, err := w.call(ctx, http.MethodGet, fmt.Sprintf("/%x/checkpoint", hash), nil)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusNotFound:
		return nil, nil
	case status != http.StatusOK:
		return nil, fmt.Errorf("witness %s answers %d", w.Name, status)
	}
	return body, nil
}

// add submits a note ("add-checkpoint"). With errConflict comes the size that
// the witness is at.
func (w witness) add(ctx context.Context, old int64, proof tlog.TreeProof, note []byte) (lines []byte, size int64, err error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", old)
	for _, h := range proof {
		fmt.Fprintln(&b, h)
	}
	b.WriteByte('\n')
	b.Write(note)
	status, body, err := w.call(ctx, http.MethodPost, "/add-checkpoint", b.Bytes())
	if err != nil {
		return nil, 0, err
	}
	switch status {
	case http.StatusOK:
		return body, 0, nil
	case http.StatusConflict:
		size, err := strconv.ParseInt(strings.TrimSuffix(string(body), "\n"), 10, 64)
		if err != nil || size < 0 {
			return nil, 0, fmt.Errorf("witness %s names no size", w.Name)
		}
		return nil, size, errConflict
	case http.StatusUnprocessableEntity:
		return nil, 0, errInconsistent
	default:
		return nil, 0, fmt.Errorf("witness %s answers %d", w.Name, status)
	}
}

func (w witness) call(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error) {
	if w.URL == "" {
		return 0, nil, fmt.Errorf("the policy has no address of witness %s", w.Name)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(w.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("asking witness %s: %w", w.Name, err)
	}
	response, err := w.client.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("asking witness %s: %w", w.Name, err)
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	answer, err = io.ReadAll(io.LimitReader(response.Body, answerLimit+1))
	if err == nil && len(answer) > answerLimit {
		err = errors.New("the answer is too long")
	}
	if err != nil {
		return 0, nil, fmt.Errorf("reading the answer of witness %s: %w", w.Name, err)
	}
	return response.StatusCode, answer, nil
}
