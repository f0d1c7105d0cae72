package pages

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/citizen"
)

// The citizen's data as a file that programs read (GDPR, articles 15.3 and
// 20.1). It is written as it is read: somebody may have ten thousand signatures.

// exportPage is how many signatures are read at a time.
const exportPage = 500

// member is a member of the exported object.
type member struct {
	name string
	read func(emit func(any) error) error // emits the elements of a list, or one value
	list bool
}

// export hands the data over. What fails on the way breaks the transfer off, so
// that nobody takes half of it for all.
func (r OwnRoom) export(c echo.Context, v visitor) error {
	// The first page of the log is read before anything is sent: it is where the
	// signer says whether all this may be read.
	first, err := r.Profile.ReadLog(c.Request().Context(), v.ticket, 0)
	if err != nil {
		return err
	}
	header := c.Response().Header()
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Content-Disposition", `attachment; filename="mis-datos.json"`)
	header.Set("Cache-Control", "no-store")
	c.Response().WriteHeader(http.StatusOK)
	out := bufio.NewWriter(c.Response())
	if err := writeMembers(out, r.members(c, v, first)); err != nil {
		panic(http.ErrAbortHandler) // the only way to end a response that has begun
	}
	return nil
}

func writeMembers(out *bufio.Writer, members []member) error {
	separator := "{\n"
	for _, m := range members {
		if _, err := fmt.Fprintf(out, "%s%q: ", separator, m.name); err != nil {
			return fmt.Errorf("writing the data: %w", err)
		}
		if err := m.write(out); err != nil {
			return err
		}
		separator = ",\n"
	}
	if _, err := io.WriteString(out, "\n}\n"); err != nil {
		return fmt.Errorf("writing the data: %w", err)
	}
	return out.Flush()
}

func (m member) write(out *bufio.Writer) error {
	before, after := "", ""
	if m.list {
		before, after = "[\n", "\n]"
	}
	if _, err := out.WriteString(before); err != nil {
		return fmt.Errorf("writing the data: %w", err)
	}
	first := true
	err := m.read(func(value any) error {
		if !first {
			if _, err := out.WriteString(",\n"); err != nil {
				return fmt.Errorf("writing the data: %w", err)
			}
		}
		first = false
		b, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("writing the data: %w", err)
		}
		_, err = out.Write(b)
		return err
	})
	if err != nil {
		return err
	}
	_, err = out.WriteString(after)
	return err
}

type exported = map[string]any

func (r OwnRoom) members(c echo.Context, v visitor, log []citizen.LogEntry) []member {
	p := v.Citizen
	one := func(name string, value any) member {
		return member{name: name, read: func(emit func(any) error) error { return emit(value) }}
	}
	many := func(name string, read func(emit func(any) error) error) member { return member{name, read, true} }
	return []member{
		one("generated_at", r.Now().UTC().Format(time.RFC3339)),
		one("person", exported{
			"identifier": p.Identifier, "given_name": p.GivenName, "surnames": p.Surnames, "phone": p.Phone, "email": p.Email, "language": p.Locale,
			"status": p.Status, "document_until": dayOrNothing(p.DocumentUntil), "phone_changed_at": timeOrNothing(p.PhoneChangedAt), "notices": p.Notices,
		}),
		many("registrations", func(emit func(any) error) error { return r.exportRegistrations(c, v, emit) }),
		many("certificates", func(emit func(any) error) error { return r.exportCertificates(c, v, emit) }),
		many("associated_certificates", func(emit func(any) error) error { return r.exportAssociated(c, v, emit) }),
		many("signatures", func(emit func(any) error) error { return r.exportHistory(c, v, emit) }),
		many("incidents", func(emit func(any) error) error { return r.exportIncidents(c, v, emit) }),
		many("applications", func(emit func(any) error) error { return r.exportConsents(c, v, emit) }),
		many("sessions", func(emit func(any) error) error { return r.exportVisits(c, v, emit) }),
		many("log", func(emit func(any) error) error { return r.exportLog(c, v, log, emit) }),
	}
}

func timeOrNothing(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func dayOrNothing(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Format(time.DateOnly)
}

func (r OwnRoom) exportRegistrations(c echo.Context, v visitor, emit func(any) error) error {
	all, err := r.Own.Registrations(c.Request().Context(), v.Citizen.ID)
	for _, g := range all {
		if err == nil {
			err = emit(exported{"mode": g.Mode, "level": g.Level, "office": g.Office, "assured_at": timeOrNothing(g.AssuredAt)})
		}
	}
	return err
}

func (r OwnRoom) exportCertificates(c echo.Context, v visitor, emit func(any) error) error {
	all, err := r.Own.CertificatesOf(c.Request().Context(), v.Citizen.ID)
	for _, k := range all {
		if err == nil {
			err = emit(exported{
				"serial": k.Serial, "not_before": timeOrNothing(k.NotBefore), "not_after": timeOrNothing(k.NotAfter),
				"revoked_at": timeOrNothing(k.RevokedAt), "certificate": base64.StdEncoding.EncodeToString(k.DER),
			})
		}
	}
	return err
}

func (r OwnRoom) exportAssociated(c echo.Context, v visitor, emit func(any) error) error {
	a, err := r.Own.AssociatedCertificate(c.Request().Context(), v.Citizen.ID)
	if err != nil || a == nil {
		return err
	}
	return emit(exported{"subject": a.Subject, "issuer": a.Issuer, "serial": a.Serial, "not_after": timeOrNothing(a.NotAfter), "certificate": base64.StdEncoding.EncodeToString(a.DER)})
}

func (r OwnRoom) exportHistory(c echo.Context, v visitor, emit func(any) error) error {
	q := citizen.HistoryQuery{Identifier: v.Citizen.Identifier, Limit: exportPage}
	for {
		rows, err := r.Own.History(c.Request().Context(), q)
		if err != nil {
			return err
		}
		for _, row := range rows {
			err := emit(exported{
				"id": row.ID, "title": row.Title, "organisation": row.Application.Organisation, "application": row.Application.Name, "state": row.State,
				"documents": row.Documents, "asked_at": timeOrNothing(row.CreatedAt), "ended_at": timeOrNothing(row.ClosedAt),
			})
			if err != nil {
				return err
			}
		}
		if len(rows) < exportPage {
			return nil
		}
		q.Before = rows[len(rows)-1].Place()
	}
}

func (r OwnRoom) exportIncidents(c echo.Context, v visitor, emit func(any) error) error {
	all, err := r.Own.Incidents(c.Request().Context(), v.Citizen.ID)
	for _, i := range all {
		if err == nil {
			err = emit(exported{
				"id": i.ID, "signature": i.RequestID, "said": i.Said, "opened_at": timeOrNothing(i.OpenedAt),
				"closed_at": timeOrNothing(i.ClosedAt), "outcome": i.Outcome,
			})
		}
	}
	return err
}

func (r OwnRoom) exportVisits(c echo.Context, v visitor, emit func(any) error) error {
	all, err := r.Own.Visits(c.Request().Context(), v.Citizen.ID)
	for _, visit := range all {
		if err == nil {
			err = emit(exported{"purpose": visit.Purpose, "via": visit.Via, "at": timeOrNothing(visit.At), "until": timeOrNothing(visit.ExpiresAt)})
		}
	}
	return err
}

func (r OwnRoom) exportLog(c echo.Context, v visitor, entries []citizen.LogEntry, emit func(any) error) error {
	for len(entries) > 0 {
		for _, e := range entries {
			err := emit(exported{"number": e.Seq, "type": e.Type, "operation": e.Operation, "at": timeOrNothing(e.At), "facts": json.RawMessage(e.Payload)})
			if err != nil {
				return err
			}
		}
		var err error
		if entries, err = r.Profile.ReadLog(c.Request().Context(), v.ticket, entries[len(entries)-1].Seq); err != nil {
			return err
		}
	}
	return nil
}
