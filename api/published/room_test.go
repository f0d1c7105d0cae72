package published_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/published"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/internal/audittest"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// shelf is a log in memory of which a part has been published.
type shelf struct {
	*audittest.Log

	signed int64
	note   []byte
	stamp  []byte
}

func (s *shelf) Trees(context.Context) ([]publication.Tree, error) {
	return []publication.Tree{{Origin: "ended"}, {Origin: audittest.Origin}}, nil
}

func (s *shelf) at(origin string, size int64) (publication.Published, error) {
	if origin != audittest.Origin || size != s.signed || s.note == nil {
		return publication.Published{}, policies.Refuse(policies.NotFound)
	}
	return publication.Published{Size: size, Note: s.note, Timestamp: s.stamp}, nil
}

func (s *shelf) LastCheckpoint(_ context.Context, origin string) (publication.Published, error) {
	return s.at(origin, s.signed)
}

func (s *shelf) LastWitnessed(_ context.Context, origin string) (publication.Published, error) {
	return s.at(origin, s.signed)
}

func (s *shelf) CheckpointAt(_ context.Context, origin string, size int64) (publication.Published, error) {
	return s.at(origin, size)
}

func (s *shelf) Leaves(_ context.Context, from, to int64) ([][]byte, error) {
	var leaves [][]byte
	for _, r := range s.Records[from:to] {
		leaves = append(leaves, r.Leaf)
	}
	return leaves, nil
}

// nobody asks for tokens here.
type nobody struct{}

func (nobody) Application(context.Context, string) (signer.Client, error) {
	return signer.Client{}, policies.Refuse(policies.ApplicationUnknown)
}
func (nobody) AddToken(context.Context, signer.AccessToken) error { return nil }
func (nobody) Token(context.Context, []byte, time.Time) (signer.AccessToken, error) {
	return signer.AccessToken{}, policies.Refuse(policies.ApplicationUnknown)
}

func serve(t *testing.T, s *shelf) *httptest.Server {
	t.Helper()
	sentences, err := catalogue.New()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler, err = api.New(api.Config{
		PublicURL: "http://" + server.Listener.Addr().String(), Catalogue: sentences, Clients: nobody{},
		Rooms:  []func(*api.Site){published.Room(published.Config{Log: s})},
		Limits: api.DefaultLimits(), Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, server *httptest.Server, path string, header http.Header) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // read to its end below
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// Whatever a log of this size consists of is served, octet for octet, and
// nothing of what came after.
func TestRoomServesTheLog(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{1, 255, 256, 257, 700} {
		s := &shelf{Log: audittest.New(t).Fill(t, int(size)+300), signed: size}
		s.note = s.Witnessed(t, size)
		server := serve(t, s)
		files := s.Files(t, size)
		for path, want := range files {
			response, got := get(t, server, published.Root+path, nil)
			if response.StatusCode != http.StatusOK || path != "checkpoint" && got != string(want) {
				t.Errorf("%d entries, %s: got %s and %d octets, want %d", size, path, response.Status, len(got), len(want))
			}
			if cache := response.Header.Get("Cache-Control"); strings.Contains(cache, "immutable") != strings.HasPrefix(path, "tile/") {
				t.Errorf("%s: got Cache-Control %q", path, cache)
			}
		}
		for path := range s.Files(t, size+300) {
			if _, served := files[path]; served || !strings.HasPrefix(path, "tile/") {
				continue
			}
			if response, _ := get(t, server, published.Root+path, nil); response.StatusCode != http.StatusNotFound {
				t.Errorf("%d entries signed, %s: got %s, want nothing beyond them", size, path, response.Status)
			}
		}
	}
}

func TestRoomRefuses(t *testing.T) {
	t.Parallel()
	s := &shelf{Log: audittest.New(t).Fill(t, 300), signed: 300}
	s.note = s.Witnessed(t, 300)
	server := serve(t, s)
	for _, path := range []string{
		"tile/", "tile/0", "tile/0/", "tile/0/-01", "tile/0/1", "tile/0/999", "tile/0/x000/001", "tile/00/000", "tile/64/000", "tile/0/001.p/0",
		"tile/0/001.p/45", "tile/0/001.p/256", "tile/0/001.p/044", "tile/entries/001", "tile/entries/x999/x999/x999/x999/x999/999", "tile/data/000",
		"tile/0/../../etc/passwd", "tile/0/000/..", "timestamp/300.tsr", "timestamp/-1.tsr", "timestamp/99999999999999999999.tsr", "timestamp/300", "policy",
	} {
		response, body := get(t, server, published.Root+path, nil)
		if response.StatusCode != http.StatusNotFound || !strings.Contains(body, `"code":"not_found"`) {
			t.Errorf("%s: got %s %.80s, want a problem not_found", path, response.Status, body)
		}
	}
	s.note = nil
	if response, _ := get(t, server, published.Root+"checkpoint", nil); response.StatusCode != http.StatusNotFound {
		t.Errorf("before the first checkpoint: got %s, want 404", response.Status)
	}
}

func TestRoomForCaches(t *testing.T) {
	t.Parallel()
	s := &shelf{Log: audittest.New(t).Fill(t, 256), signed: 256, stamp: []byte("token")}
	s.note = s.Witnessed(t, 256)
	server := serve(t, s)
	response, _ := get(t, server, published.Root+"tile/0/000", nil)
	again, body := get(t, server, published.Root+"tile/0/000", http.Header{"If-None-Match": {response.Header.Get("Etag")}})
	if again.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("what is there already: got %s with %d octets, want 304", again.Status, len(body))
	}
	bundle, text := get(t, server, published.Root+"tile/entries/000", http.Header{"Accept-Encoding": {"gzip"}})
	if bundle.Header.Get("Content-Encoding") != "gzip" || len(text) > 20_000 {
		t.Errorf("a bundle: got %d octets, encoding %q, want it compressed", len(text), bundle.Header.Get("Content-Encoding"))
	}
	if stamp, token := get(t, server, published.Root+"timestamp/256.tsr", nil); stamp.StatusCode != http.StatusOK || token != "token" {
		t.Errorf("time-stamp: got %s %q", stamp.Status, token)
	}
}
