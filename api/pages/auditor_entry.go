package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/policies"
)

// single reads the entry of the address.
func (d *AuditDoor) single(c echo.Context) (auditing.Single, error) {
	seq, err := strconv.ParseInt(c.Param("seq"), 10, 64)
	if err != nil || seq < 0 {
		return auditing.Single{}, policies.Refuse(policies.NotFound)
	}
	asking, err := d.Auditors.Identify(c)
	if err != nil {
		return auditing.Single{}, err
	}
	return d.Auditing.Entry(c.Request().Context(), asking, seq)
}

func (d *AuditDoor) entry(c echo.Context) error {
	single, err := d.single(c)
	if err != nil {
		return err
	}
	names, err := d.names(c.Request().Context())
	if err != nil {
		return err
	}
	view := newAuditEntry(single, names)
	view.Self, view.Desk = c.Request().URL.RequestURI(), d.desk(c, "search")
	if sealed := c.QueryParam(searchParameter); sealed != "" {
		view.BackURL = searchURL(searchParameter, sealed)
	}
	return d.show(c, http.StatusOK, view)
}

func newAuditEntry(single auditing.Single, names map[string]string) *AuditEntry {
	e := single.Entry
	view := &AuditEntry{AuditRow: row(e, names, ""), Leaf: string(e.Leaf), Proven: len(single.Proof) > 0, Witnessed: single.Witnessed}
	view.ProofURL = view.URL + "/prueba"
	if len(e.Salt) > 0 {
		commitment := sha256.Sum256(slices.Concat(e.Salt, e.Payload))
		view.Salt, view.Payload, view.Commitment = hex.EncodeToString(e.Salt), string(e.Payload), hex.EncodeToString(commitment[:])
	}
	return view
}

// proof hands out what proves the entry's place, to be verified elsewhere.
func (d *AuditDoor) proof(c echo.Context) error {
	single, err := d.single(c)
	if err != nil {
		return err
	}
	if len(single.Proof) == 0 {
		return policies.Refuse(policies.CheckpointMissing)
	}
	c.Response().Header().Set(echo.HeaderContentDisposition, fmt.Sprintf(`attachment; filename="%d.tlog-proof"`, single.Entry.Seq))
	return c.Blob(http.StatusOK, "text/plain; charset=utf-8", single.Proof)
}

func (d *AuditDoor) operation(c echo.Context) error {
	asking, err := d.Auditors.Identify(c)
	if err != nil {
		return err
	}
	id := c.Param("id")
	if !operationForm.MatchString(id) {
		return policies.Refuse(policies.NotFound)
	}
	found, err := d.Auditing.Operation(c.Request().Context(), asking, id)
	if err != nil {
		return err
	}
	names, err := d.names(c.Request().Context())
	if err != nil {
		return err
	}
	view := newAuditOperation(id, found, names)
	view.Self, view.Desk = c.Request().URL.Path, d.desk(c, "search")
	return d.show(c, http.StatusOK, view)
}

func newAuditOperation(id string, found auditing.Found, names map[string]string) *AuditOperation {
	view := &AuditOperation{Operation: id, Size: found.Size, More: found.Next > 0}
	for i, e := range found.Entries {
		step := AuditStep{AuditRow: row(e, names, ""), First: i == 0}
		if i > 0 {
			step.After = max(0, e.At.Sub(found.Entries[i-1].At))
		}
		if view.Person == "" {
			view.Person = e.Person
		}
		if view.Application == "" {
			view.Application = step.Application
		}
		view.Steps = append(view.Steps, step)
	}
	return view
}
