package citizen

import (
	"context"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/signer"
)

// LogEntry is an entry of the log about a person, as that person may read it.
type LogEntry struct {
	Seq       int64
	Type      audit.EventType
	Operation string
	At        time.Time
	Payload   []byte // JSON
}

// logPage is how many entries are read at a time.
const logPage = 500

// ReadLog gives citizens what the log holds of them (GDPR, article 15.3), a page
// at a time, after an entry; 0 begins, which is an entry itself.
func (p *Profile) ReadLog(ctx context.Context, t signer.Ticket, after int64) ([]LogEntry, error) {
	v, err := p.Register.visit(ctx, t)
	if err != nil {
		return nil, err
	}
	if after == 0 {
		err := p.Register.Store.Log(ctx, v.entry(audit.DataExported, map[string]any{"via": string(v.Via)}))
		if err != nil {
			return nil, err
		}
	}
	return p.Store.PersonEntries(ctx, v.citizen.Identifier, after, logPage)
}

// Own is all that citizens do on their own pages.
type Own struct {
	*Profile
	*Incidents
}
