package rest

import (
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// parseDocument reads a document of a request, which stands at the given place.
// The rules about it are the core's.
func parseDocument(document NewDocument, at string) (requests.Upload, error) {
	u := requests.Upload{Name: document.Name, MediaType: document.MediaType, Format: signer.Format(document.Format)}
	switch {
	case (document.Content == nil) == (document.Upload == nil):
		return u, malformed(at + "/content")
	case document.Content != nil:
		u.Content = *document.Content
	default:
		u.ID = *document.Upload
		if !printable(u.ID) {
			return u, malformed(at + "/upload")
		}
	}
	if document.Level != nil {
		u.Level = cades.Level(*document.Level)
	}
	if document.Signature == nil {
		return u, nil
	}
	o := document.Signature
	u.Options = requests.Options{Reason: value(o.Reason), Location: value(o.Location), Field: value(o.Field)}
	u.Attributes = signer.Attributes{Country: value(o.Country), Locality: value(o.Locality)}
	if o.Commitment != nil {
		u.Attributes.Commitment = string(*o.Commitment)
	}
	if o.Policy != nil {
		u.Attributes.Policy = string(*o.Policy)
	}
	if o.Certification != nil {
		permitted, known := map[SignatureOptionsCertification]int{NoChanges: 1, FormFilling: 2, Annotations: 3}[*o.Certification]
		if !known {
			return u, malformed(at + "/signature/certification")
		}
		u.Options.Certify = permitted
	}
	var err error
	u.Options.Stamp, err = parseStamp(o.Stamp, at+"/signature/stamp")
	return u, err
}

// parseStamp reads a stamp that stands at the given place; nil is none.
func parseStamp(s *Stamp, at string) (*requests.Stamp, error) {
	if s == nil {
		return nil, nil //nolint:nilnil // a signature that is not drawn
	}
	out := &requests.Stamp{Page: value(s.Page), CSV: value(s.Csv), URL: value(s.CheckURL)}
	if s.Place != nil {
		out.Place = string(*s.Place)
	}
	if s.Rect == nil {
		return out, nil
	}
	if len(*s.Rect) != len(out.Rect) {
		return nil, malformed(at + "/rect")
	}
	for i, side := range *s.Rect {
		out.Rect[i] = float64(side)
	}
	return out, nil
}

// value is what a member holds, or nothing.
func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}
