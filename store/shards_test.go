package store_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/ca"
)

// fullShard is how many certificates name a list (DESIGN section 5).
const fullShard = 18_000

func instantOf(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// The year is that of UTC, to the moment, whatever the clock's zone.
func TestShardOfTheYear(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for _, c := range []struct{ at, want string }{
		{"2026-12-31T23:59:59.999999Z", "issuing-1-2026-1"},
		{"2027-01-01T00:00:00Z", "issuing-1-2027-1"},
		{"2027-01-01T00:59:59+01:00", "issuing-1-2026-1"},
		{"2026-12-31T19:00:00-05:00", "issuing-1-2027-1"},
		{"2026-07-01T00:00:00Z", "issuing-1-2026-1"}, // another process is behind
	} {
		if got := a.shard("issuing-1", instantOf(t, c.at)); got != c.want {
			t.Errorf("at %s: got %s, want %s", c.at, got, c.want)
		}
	}
	if got, want := a.shard("issuing-2", instantOf(t, "2026-07-01T00:00:00Z")), "issuing-2-2026-1"; got != want {
		t.Errorf("another authority: got %s, want %s", got, want)
	}
	if got, want := value[int](a, `SELECT count(*) FROM crl_shards`), 3; got != want {
		t.Errorf("%d shards, want %d", got, want)
	}
}

func TestShardIsFull(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	now := instantOf(t, "2026-05-01T12:00:00Z")
	first := a.shard("issuing-1", now)
	a.sql(`UPDATE crl_shards SET issued = $2, ends_at = '2030-05-01Z' WHERE name = $1`, first, fullShard-1)
	if got := a.shard("issuing-1", now); got != first {
		t.Errorf("with room for one: got %s, want %s", got, first)
	}
	a.sql(`UPDATE crl_shards SET issued = issued + 1 WHERE name = $1`, first)
	second := a.shard("issuing-1", now)
	if want := "issuing-1-2026-2"; second != want {
		t.Errorf("without room: got %s, want %s", second, want)
	}
	a.sql(`UPDATE crl_shards SET issued = $2 + 3 WHERE name = $1`, second, fullShard) // by those that were under way
	if got, want := a.shard("issuing-1", now), "issuing-1-2026-3"; got != want {
		t.Errorf("without room again: got %s, want %s", got, want)
	}
	ends := map[string]time.Time{}
	shards, err := a.db.Shards(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shards {
		ends[s.Name] = s.Ends
	}
	if want := instantOf(t, "2030-05-01T00:00:00Z"); !ends[first].Equal(want) {
		t.Errorf("the full one ends %v, want %v", ends[first], want)
	}
	if open := ends["issuing-1-2026-3"]; len(ends) != 3 || !open.IsZero() {
		t.Errorf("got %v, want three, and the last one open", ends)
	}
}

// However many ask for the first certificate of a year at once, there is one
// list, and everybody is told its name.
func TestShardIsMadeOnce(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for year := 2030; year < 2060; year++ {
		names := make([]string, 12)
		start := make(chan struct{})
		var asking errgroup.Group
		for i := range names {
			asking.Go(func() (err error) {
				<-start
				names[i], err = a.db.Shard(t.Context(), "issuing-1", time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))
				return err
			})
		}
		close(start)
		if err := asking.Wait(); err != nil {
			t.Fatalf("%d: %v", year, err)
		}
		for _, got := range names {
			if want := fmt.Sprintf("issuing-1-%d-1", year); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
		}
	}
	if got, want := value[int](a, `SELECT count(*) FROM crl_shards`), 30; got != want {
		t.Errorf("%d shards, want %d", got, want)
	}
}

// A list without certificates is not closed at once when the year ends, nor when
// its authority is retired: somebody may be about to get the first.
func TestEmptyShardStaysOpen(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	made := instantOf(t, "2026-12-31T23:59:59.9Z")
	name := a.shard("issuing-1", made)
	a.sql(`UPDATE authorities SET retired_at = $1 WHERE name = 'issuing-1'`, made)
	ended := func(after time.Duration) bool {
		shards, err := a.db.Shards(t.Context(), made.Add(after))
		if err != nil || len(shards) != 1 || shards[0].Name != name || shards[0].Issuer != "issuing-1" {
			t.Fatalf("got %v, %v", shards, err)
		}
		return !shards[0].Ends.IsZero() && made.Add(after).After(shards[0].Ends)
	}
	for after, want := range map[time.Duration]bool{time.Second: false, time.Hour: false, 48 * time.Hour: true} {
		if got := ended(after); got != want {
			t.Errorf("after %v: ended %t, want %t", after, got, want)
		}
	}
}

// The number of a list is given once; whoever loses it knows.
func TestListNumbersOnce(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	shard := a.shard("issuing-1", time.Now())
	won := make([]bool, 12)
	var publishing errgroup.Group
	for i := range won {
		publishing.Go(func() (err error) {
			won[i], err = a.db.PublishList(t.Context(), shard, ca.PublishedList{
				Number: 1, DER: []byte{byte(i)}, Digest: []byte{byte(i)}, ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
			})
			return err
		})
	}
	if err := publishing.Wait(); err != nil {
		t.Fatal(err)
	}
	newest, err := a.db.NewestList(t.Context(), shard)
	if err != nil || newest.Number != 1 || len(newest.Digest) != 1 || newest.DER != nil {
		t.Fatalf("got %+v, %v", newest, err)
	}
	for i, yes := range won {
		if yes != (byte(i) == newest.Digest[0]) {
			t.Errorf("publisher %d was told %t, and the list is %d's", i, yes, newest.Digest[0])
		}
	}
}
