package pages_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

// guide knows two offices.
type guide struct{}

func (guide) Places(_ context.Context, s citizen.PlaceSearch) ([]citizen.Place, error) {
	coto := citizen.Place{ID: "1", Name: "El Coto", Address: "Plaza, 1", PostalCode: "33204", Town: "Gijón", Province: "Asturias", Phone: "985 18 11 11"}
	madrid := citizen.Place{ID: "2", Name: "Centro", Address: "Calle, 2", PostalCode: "28003", Town: "Madrid", Province: "Madrid", Appointment: "https://cita.example.es/"}
	switch {
	case strings.HasPrefix(s.PostalCode, "33"), s.Words == "gijon":
		return []citizen.Place{coto}, nil
	case s.Words == "centro":
		return []citizen.Place{coto, madrid}, nil
	}
	return nil, nil
}

// TestOffices finds them without a script.
func TestOffices(t *testing.T) {
	t.Parallel()
	words, drawn := shared(t)
	door := pages.NewDoor(pages.DoorConfig{Pages: drawn, Now: time.Now})
	server := httptest.NewUnstartedServer(nil)
	address := "http://" + server.Listener.Addr().String()
	site, err := api.New(api.Config{
		PublicURL: address, Catalogue: words, ErrorPage: door.Trouble, Rooms: []func(*api.Site){pages.OfficeRoom{Door: door, Places: guide{}}.Room},
		Limits: api.DefaultLimits(), Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = site
	server.Start()
	defer server.Close()
	b, err := thread.NewBrowser()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Open(t.Context(), address+pages.OfficesPath); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		typed, query string
		status       int
		says         []string
	}{
		{"Gijón", "donde=Gij%C3%B3n", http.StatusOK, []string{"1 oficina", "El Coto", "33204 Gijón (Asturias)"}},
		{"33204", "donde=33204", http.StatusOK, []string{"El Coto"}},
		{"33206", "donde=33206", http.StatusOK, []string{"Ninguna tiene el código postal 33206", "El Coto"}},
		{"centro", "donde=centro", http.StatusOK, []string{"2 oficinas", "28003 Madrid", "Pedir cita"}},
		{"Xanadú", "donde=Xanad%C3%BA", http.StatusOK, []string{"No se ha encontrado ninguna oficina"}},
		{"3", "", http.StatusUnprocessableEntity, []string{"Revise el lugar", "Con eso no se puede buscar"}},
		{"<script>", "donde=%3Cscript%3E", http.StatusOK, []string{"No se ha encontrado ninguna oficina"}},
	} {
		if err := b.Submit(t.Context(), form{pages.FieldPlace: test.typed}); err != nil {
			t.Fatal(err)
		}
		if b.Status() != test.status || b.URL().RawQuery != test.query {
			t.Errorf("%q: got %d at %s, want %d at ?%s", test.typed, b.Status(), b.URL(), test.status, test.query)
		}
		for _, want := range test.says {
			if !strings.Contains(b.Text(), want) {
				t.Errorf("%q: got no %q: %s", test.typed, want, b.Text())
			}
		}
	}
	if err := b.Open(t.Context(), address+pages.OfficesPath+"?donde=%FF"); err != nil || b.Status() != http.StatusOK {
		t.Errorf("an odd address: got %d, %v, want the empty form", b.Status(), err)
	}
}
