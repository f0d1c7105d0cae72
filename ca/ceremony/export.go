package ceremony

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
)

// File is one of an export.
type File struct {
	Name    string
	Content []byte
}

// Export gathers the public side: the certificates, the root's list, and
// minutes of what is recorded. None of it is secret.
func (h *House) Export(ctx context.Context) ([]File, error) {
	hierarchy, err := h.Store.Hierarchy(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the hierarchy: %w", err)
	}
	var files []File
	for _, m := range hierarchy {
		if m.Role == ca.RoleRoot {
			files = append(files, File{m.Name + ".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.DER})})
		}
		files = append(files, File{m.Name + ".cer", m.DER})
	}
	list, err := h.Store.NewestList(ctx, string(ca.RoleRoot))
	if err != nil {
		return nil, fmt.Errorf("reading the root's list: %w", err)
	}
	if list.Number > 0 {
		files = append(files, File{"root.crl", list.DER})
	}
	text, err := h.minutes(ctx, hierarchy, list)
	if err != nil {
		return nil, err
	}
	return append(files, File{"minutes.txt", text}), nil
}

// minutes say what is recorded, in words that can be compared with what was
// written down in the ceremonies.
func (h *House) minutes(ctx context.Context, hierarchy ca.Hierarchy, list ca.PublishedList) ([]byte, error) {
	steps, err := h.Store.CeremonySteps(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading what has been done: %w", err)
	}
	secrets, err := h.Store.Secrets(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the check values: %w", err)
	}
	var b strings.Builder
	b.WriteString("Steps of ceremonies (UTC)\n")
	order := slices.SortedFunc(maps.Keys(steps), func(x, y string) int {
		if c := steps[x].Compare(steps[y]); c != 0 {
			return c
		}
		return strings.Compare(x, y)
	})
	for _, name := range order {
		fmt.Fprintf(&b, "  %s  %s\n", steps[name].Format(time.DateTime), name)
	}
	b.WriteString("\nSecret keys\n")
	for _, s := range secrets {
		fmt.Fprintf(&b, "  %-20s check value %x\n", s.Label, s.CheckValue)
	}
	b.WriteString("\nMembers\n")
	for _, m := range hierarchy {
		o, err := certified(m)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "  %s\n    key %s in the %s token\n", o.lines[0], m.KeyLabel, m.Token)
		for _, line := range o.lines[1:] {
			fmt.Fprintf(&b, "    %s\n", line)
		}
		if !m.RetiredAt.IsZero() {
			fmt.Fprintf(&b, "    retired on %s\n", m.RetiredAt.UTC().Format(time.DateTime))
		}
		if !m.RevokedAt.IsZero() {
			fmt.Fprintf(&b, "    revoked on %s, reason %d\n", m.RevokedAt.UTC().Format(time.DateTime), m.Reason)
		}
	}
	if list.Number > 0 {
		fmt.Fprintf(&b, "\nThe root's list: number %d, of %s, the next one before %s\n  SHA-256 %x\n", list.Number,
			list.ThisUpdate.UTC().Format(time.DateTime), day(list.NextUpdate), sha256.Sum256(list.DER))
	}
	return []byte(b.String()), nil
}
