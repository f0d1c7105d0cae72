package pages_test

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/internal/flood"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// filesToHash is where auditors have a file hashed.
const filesToHash = "/auditoria/huella"

// nobodys is a door through which nobody has come.
type nobodys struct{ pages.Auditors }

func (nobodys) Require(...string) echo.MiddlewareFunc {
	return func(echo.HandlerFunc) echo.HandlerFunc {
		return func(echo.Context) error { return policies.Refuse(policies.SessionExpired) }
	}
}

func (nobodys) Visit(echo.Context) (personnel.Visit, error) {
	return personnel.Visit{}, policies.Refuse(policies.SessionExpired)
}

func (nobodys) CertificateOffered(echo.Context) bool { return false }

// Whatever people can send, at any of the doors that draw pages, of a gigabyte
// no more is read than it takes to refuse it, on a page of the door's own. What
// is behind the doors is not there: nothing may get as far.
func TestGigabytes(t *testing.T) { //nolint:paralleltest // others would allocate beside it
	words, drawn := shared(t)
	public := pages.NewDoor(pages.DoorConfig{Pages: drawn, Rules: policies.DefaultRules(), Development: true, Now: time.Now})
	desk := pages.NewDeskDoor(pages.DeskConfig{Pages: drawn, Officers: nobodys{}, Now: time.Now})
	audit := pages.NewAuditDoor(pages.AuditDoorConfig{Pages: drawn, Auditors: nobodys{}, Now: time.Now})
	certificates := pages.NewCertificateDoor(pages.CertificateDoorConfig{Pages: drawn, Now: time.Now})
	for name, door := range map[string]struct {
		trouble api.ErrorPage
		rooms   []func(*api.Site)
	}{
		"citizens": {public.Trouble, []func(*api.Site){
			public.Room, pages.LetterRoom{Door: public}.Room, pages.PinRoom{Door: public}.Room, pages.CardRoom{Door: public}.Room,
			pages.RegistrationRoom{Door: public, CertificateURL: "https://certificados.example.es"}.Room, pages.OwnRoom{Door: public}.Room,
			pages.OfficeRoom{Door: public}.Room,
		}},
		"officers":     {desk.Trouble, []func(*api.Site){desk.Room}},
		"auditors":     {audit.Trouble, []func(*api.Site){audit.Room}},
		"certificates": {certificates.Trouble, []func(*api.Site){certificates.Room}},
	} {
		limits := api.DefaultLimits()
		limits.Attempts, limits.Drain = api.Rate{Every: time.Nanosecond, Burst: 1000}, 1<<20
		site, err := api.New(api.Config{
			PublicURL: "https://firma.example.es", Catalogue: words, ErrorPage: door.trouble, Rooms: door.rooms,
			Limits: limits, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range flood.Every(t, site, nil) {
			want := a.Status == http.StatusRequestEntityTooLarge && a.Page()
			if a.Route == filesToHash { // an auditor's file may be as large, and is not kept
				want = a.Status == http.StatusForbidden && a.Page() && a.Read == 0
			}
			if !want {
				t.Errorf("%s, %s %s, length told %t: got %d, %s, after %d bytes, want a page with 413",
					name, a.Method, a.Route, a.Told, a.Status, a.Header.Get(echo.HeaderContentType), a.Read)
			}
		}
	}
}
