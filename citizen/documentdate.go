package citizen

import (
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// permanent is the validity that documents of people over seventy have (RD
// 1553/2005, article 6): they print 01 01 9999, or the word.
const permanent = "PERMANENTE"

// ParseDocumentDate reads the validity date of a DNI or NIE as the document
// prints it: day, month and year, with blanks, dots, dashes or slashes, or
// without; or as a date field sends it. It does not ask whether the date has
// passed.
func ParseDocumentDate(s string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, strings.TrimSpace(s)); err == nil {
		return day, nil
	}
	s = compact(strings.ReplaceAll(s, "/", ""))
	if s == permanent {
		s = "01019999"
	}
	day, err := time.Parse("02012006", s)
	if err != nil {
		return time.Time{}, policies.Refuse(policies.IdentityDocumentExpiry, "reason", "form").From(policies.SourceRegister)
	}
	return day, nil
}
