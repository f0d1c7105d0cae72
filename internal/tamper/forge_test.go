package tamper

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
)

func sum(parts ...[]byte) []byte {
	s := sha256.Sum256(bytes.Join(parts, nil))
	return s[:]
}

// note signs the log as it stands, by the key alone.
func (h *house) note() (audit.Checkpoint, []byte) {
	h.Helper()
	head, err := h.db.LogHead(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	tree, err := head.Tree()
	if err != nil {
		h.Fatal(err)
	}
	key, err := audit.NewLogKey(origin, h.key)
	if err != nil {
		h.Fatal(err)
	}
	checkpoint := audit.Checkpoint{Origin: origin, Tree: tree}
	signed, err := key.Sign(checkpoint)
	if err != nil {
		h.Fatal(err)
	}
	return checkpoint, signed
}

// sign puts a checkpoint of the forged log in the place of all others, and says
// that it was witnessed.
func (h *house) sign() {
	h.Helper()
	checkpoint, signed := h.note()
	h.sql(`DELETE FROM log_checkpoints`)
	h.sql(`INSERT INTO log_trees (origin, key, begun_at, begun) VALUES ($1, $2, now(), 0) ON CONFLICT DO NOTHING`, origin, h.vkey)
	h.sql(`INSERT INTO log_checkpoints (origin, size, root, note, signed_at, witnessed_at) VALUES ($1, $2, $3, $4, $5, $5)`,
		origin, checkpoint.Size, checkpoint.Root[:], string(signed), time.Now())
}

// submit asks the witness for its cosignature, naming the size that it saw last.
func (h *house) submit() error {
	h.Helper()
	checkpoint, signed := h.note()
	body := fmt.Sprintf("old %d\n\n%s", checkpoint.Size, signed)
	response, err := http.Post(h.witness.url+"/add-checkpoint", "text/plain", bytes.NewReader([]byte(body)))
	if err != nil {
		h.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // read to its end below
	text, err := io.ReadAll(response.Body)
	if err != nil {
		h.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the witness answers %s: %s", response.Status, text)
	}
	return nil
}
