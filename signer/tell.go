package signer

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
)

// NoticeMessage is the content of an SMS that tells what has happened.
type NoticeMessage struct {
	ID     string
	Phone  string
	Locale string
	Kind   string // document_signed, phone_changed, email_changed, incident_opened or letter_requested
	// Of document_signed.
	Title     string
	Reference string
}

// Ways are how a notice reaches its citizen, who wants to be told of signatures
// in one way or another: of anything else everybody is told.
func (n Notice) Ways(wanted Notices) (mail, text bool) {
	switch n.Kind {
	case "document_signed":
		return wanted != NoticesSMS && wanted != NoticesNone, wanted == NoticesSMS || wanted == NoticesBoth
	case "phone_changed", "email_changed", "incident_opened", "letter_requested":
		return true, true
	}
	return true, false
}

// tell sends the SMS of a notice, at any hour: what it tells has just happened.
// Of a mobile that was replaced, the former one is told.
func (s *Service) tell(ctx context.Context, n Notice, c Citizen) error {
	m := NoticeMessage{ID: "notice-" + rand.Text(), Phone: c.Phone, Locale: c.Locale, Kind: n.Kind}
	switch n.Kind {
	case "phone_changed":
		m.Phone = cmp.Or(n.Former, c.Phone)
	case "document_signed":
		r, err := s.Store.Request(ctx, n.RequestID)
		if err != nil {
			return fmt.Errorf("reading the request: %w", err)
		}
		m.Title, m.Reference = r.Title, r.Reference()
	}
	return s.Courier.Tell(ctx, m)
}
