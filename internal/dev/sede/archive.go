package sede

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

// record is what the sede remembers of a request, as a case file would.
type record struct {
	ID      string        `json:"id"`
	Title   string        `json:"title"`
	Signer  string        `json:"signer"`
	Name    string        `json:"name"`
	Format  client.Format `json:"format"`
	AskedAt time.Time     `json:"asked_at"`
	Door    string        `json:"door,omitempty"`
}

// archive keeps each request in a directory: its record and the document as it
// was sent, which is needed to verify a detached signature.
type archive struct{ root *os.Root }

// errUnknown means that the sede never asked for that signature.
var errUnknown = errors.New("the sede does not know this request")

// identifier is what a request's id may look like to become a file name.
var identifier = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (a archive) add(r record, content []byte) error {
	if !identifier.MatchString(r.ID) {
		return errUnknown
	}
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("filing a request: %w", err)
	}
	if err := a.root.MkdirAll(r.ID, 0o700); err != nil {
		return fmt.Errorf("filing a request: %w", err)
	}
	if err := a.root.WriteFile(r.ID+"/content", content, 0o600); err != nil {
		return fmt.Errorf("filing a request: %w", err)
	}
	if err := a.root.WriteFile(r.ID+"/record.json", text, 0o600); err != nil {
		return fmt.Errorf("filing a request: %w", err)
	}
	return nil
}

// sign files what came back signed, where nobody else keeps it.
func (a archive) sign(id string, signed []byte) error {
	if err := a.root.WriteFile(id+"/signed", signed, 0o600); err != nil {
		return fmt.Errorf("filing a signed document: %w", err)
	}
	return nil
}

func (a archive) signed(id string) ([]byte, error) {
	signed, err := a.root.ReadFile(id + "/signed")
	if err != nil {
		return nil, fmt.Errorf("reading a signed document: %w", err)
	}
	return signed, nil
}

// get returns a record and the path of its document.
func (a archive) get(id string) (r record, contentFile string, err error) {
	if !identifier.MatchString(id) {
		return record{}, "", errUnknown
	}
	text, err := a.root.ReadFile(id + "/record.json")
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, "", errUnknown
	}
	if err != nil {
		return record{}, "", fmt.Errorf("reading a filed request: %w", err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return record{}, "", fmt.Errorf("reading a filed request: %w", err)
	}
	return r, filepath.Join(a.root.Name(), id, "content"), nil
}

// latest lists the newest requests, at most n. It is a convenience: what cannot
// be read is left out.
func (a archive) latest(n int) []record {
	entries, err := fs.ReadDir(a.root.FS(), ".")
	if err != nil {
		return nil
	}
	var found []record
	for _, entry := range entries {
		if r, _, err := a.get(entry.Name()); err == nil {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b record) int { return cmp.Or(b.AskedAt.Compare(a.AskedAt), cmp.Compare(a.ID, b.ID)) })
	return found[:min(n, len(found))]
}
