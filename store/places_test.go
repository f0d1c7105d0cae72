package store_test

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

// TestPlaces finds offices of the sample list, in the roles that may.
func TestPlaces(t *testing.T) {
	t.Parallel()
	urls, ctx := pgtest.New(t, store.Migrate), t.Context()
	file, err := os.Open("../testdata/offices.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	list, err := citizen.ReadPlaces(file)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := store.Open(ctx, urls.Signer)
	if err != nil {
		t.Fatal(err)
	}
	defer signer.Close()
	api, err := store.Open(ctx, urls.API)
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	for range 2 { // the second list takes the place of the first
		if err := signer.ReplacePlaces(ctx, list); err != nil {
			t.Fatal(err)
		}
	}
	if err := api.ReplacePlaces(ctx, list[:1]); err == nil {
		t.Error("the public side replaced the list, want it kept from that")
	}

	public := store.ForPublic(api)
	for typed, want := range map[string][]string{
		"33201":            {"gijon-1", "gijon-2", "oviedo-1"},
		"33206":            {"gijon-2", "gijon-1", "oviedo-1"},
		"33":               {"oviedo-1", "gijon-1", "gijon-2"},
		"gijón":            {"gijon-1", "gijon-2"},
		"GIJON":            {"gijon-1", "gijon-2"},
		"asturias":         {"gijon-1", "gijon-2", "oviedo-1"},
		"Donostia":         {"donostia-1"},
		"san sebastian":    {"donostia-1"},
		"a coruna":         {"coruna-1"},
		"coruña":           {"coruna-1"},
		"Agencia":          {"madrid-1"},
		"19001":            nil,
		"jón":              nil,
		"Lugar de Ninguna": nil,
	} {
		search, ok := citizen.ParsePlaceSearch(typed)
		if !ok {
			t.Errorf("%q: got nothing to look for", typed)
			continue
		}
		found, err := public.Places(ctx, search)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range found {
			got = append(got, p.ID)
			if i := slices.IndexFunc(list, func(q citizen.Place) bool { return q.ID == p.ID }); i >= 0 && !cmp.Equal(p, list[i]) {
				t.Errorf("%s: %s", p.ID, cmp.Diff(list[i], p))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", typed, diff)
		}
	}
}
