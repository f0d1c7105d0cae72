package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/store"
)

// deposit is a public side with two applications.
type deposit struct {
	*testing.T
	public store.Public
	url    pgtest.Database
	now    time.Time
}

func newDeposit(t *testing.T) *deposit {
	t.Helper()
	db := pgtest.New(t, store.Migrate)
	open := func(url string) *store.DB {
		opened, err := store.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(opened.Close)
		return opened
	}
	a := &deposit{T: t, public: store.ForPublic(open(db.API)), url: db, now: time.Now().UTC().Truncate(time.Second)}
	owner := open(db.Owner)
	for _, id := range []string{"sede", "otra"} {
		client := signer.Client{
			ID: id, Name: id, Organisation: "Ayuntamiento", SecretHash: make([]byte, 32), Scopes: []string{"signature"},
			ReturnAddresses: []string{"https://sede.example/"},
		}
		if err := owner.AddApplication(t.Context(), client, a.now); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// sql is what the owner of the database may do.
func (a *deposit) sql(statement string, args ...any) {
	a.Helper()
	if _, err := as(a.T, a.url.Owner).Exec(a.Context(), statement, args...); err != nil {
		a.Fatal(err)
	}
}

func (a *deposit) upload(id string, content []byte) signer.Upload {
	a.Helper()
	u, err := a.public.AddUpload(a.Context(), signer.Upload{ID: id, ApplicationID: "sede", CreatedAt: a.now}, bytes.NewReader(content))
	if err != nil {
		a.Fatalf("storing an upload: %v", err)
	}
	if sum := sha256.Sum256(content); u.Size != int64(len(content)) || !bytes.Equal(u.SHA256, sum[:]) {
		a.Fatalf("got %+v, want the size and the hash of what came", u)
	}
	return u
}

func (a *deposit) request(id, application string, u signer.Upload, c signer.NewContent) error {
	n := signer.NewRequest{
		Request: signer.Request{
			ID: id, Application: signer.Application{ID: application}, Identifier: "12345678Z", Title: "Solicitud", Locale: "es",
			ReturnURL: "https://sede.example/", CreatedAt: a.now, ExpiresAt: a.now.Add(time.Hour),
			Documents: []signer.Document{{
				Ordinal: 1, Name: "a.txt", MediaType: "text/plain", Format: signer.CAdESDetached, Size: u.Size, SHA256: u.SHA256,
				Level: cades.BLTA, Attributes: signer.Attributes{MimeType: "text/plain"}, Findings: []string{"layers"},
			}},
		},
		Contents: []signer.NewContent{c}, IdempotencyKey: id, BodyHash: []byte{1},
	}
	_, _, err := a.public.AddRequest(a.Context(), n)
	return err
}

// A content comes back as it was, whether it came before its request or within
// it, and across the borders of its pieces.
func TestContents(t *testing.T) {
	t.Parallel()
	a := newDeposit(t)
	content := make([]byte, 10<<20+17)
	_, _ = rand.Read(content)
	u := a.upload("large", content)
	for name, c := range map[string]signer.NewContent{"named": {Upload: "large"}, "held": signer.HeldContent(content)} {
		if err := a.request(name, "sede", u, c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got bytes.Buffer
		if err := a.public.WriteContent(t.Context(), &got, name, 1); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(got.Bytes(), content) {
			t.Errorf("%s: got %d octets that differ, want the %d that came", name, got.Len(), len(content))
		}
		r, err := a.public.Request(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		d := r.Documents[0]
		if d.Level != cades.BLTA || d.Reached != "" || d.Attributes.MimeType != "text/plain" || !cmp.Equal(d.Findings, []string{"layers"}) {
			t.Errorf("%s: got %+v", name, d)
		}
	}
}

func TestUploadsBelongToTheirApplication(t *testing.T) {
	t.Parallel()
	a := newDeposit(t)
	u := a.upload("mine", []byte("contenido"))
	unknown := policies.Refuse(policies.UploadUnknown)
	if _, err := a.public.Upload(t.Context(), "otra", "mine"); !errors.Is(err, unknown) {
		t.Errorf("another application's look: got %v, want %v", err, unknown)
	}
	if err := a.request("theirs", "otra", u, signer.NewContent{Upload: "mine"}); !errors.Is(err, unknown) {
		t.Errorf("another application's request: got %v, want %v", err, unknown)
	}
	if err := a.request("none", "sede", u, signer.NewContent{Upload: "nothing"}); !errors.Is(err, unknown) {
		t.Errorf("an upload that is not there: got %v, want %v", err, unknown)
	}
	u.SHA256 = make([]byte, 32)
	if err := a.request("swapped", "sede", u, signer.NewContent{Upload: "mine"}); !errors.Is(err, unknown) {
		t.Errorf("an upload of another hash: got %v, want %v", err, unknown)
	}
}

// Of what comes with a request as much is read as was announced.
func TestContentThatBreaksOff(t *testing.T) {
	t.Parallel()
	a := newDeposit(t)
	u := signer.Upload{Size: 3 << 20, SHA256: make([]byte, 32)}
	for _, size := range []int{0, 2, 1 << 20, 3<<20 - 1} {
		if err := a.request("liar", "sede", u, signer.HeldContent(make([]byte, size))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d octets: got %v, want %v", size, err, io.ErrUnexpectedEOF)
		}
	}
	if _, err := a.public.Request(t.Context(), "liar"); !errors.Is(err, policies.Refuse(policies.RequestUnknown)) {
		t.Errorf("got %v, want nothing stored", err)
	}
}

// An upload that breaks off, as net/http says it or otherwise, leaves nothing,
// also where its sender has gone; of nothing nothing is kept.
func TestUploadThatBreaksOff(t *testing.T) {
	t.Parallel()
	a := newDeposit(t)
	left := func() (rows int) {
		t.Helper()
		if err := as(t, a.url.Owner).QueryRow(t.Context(), `SELECT count(*) FROM contents`).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	for _, size := range []int64{0, 2, 8 << 20, 9<<20 - 1} {
		for _, cause := range []error{io.ErrUnexpectedEOF, errors.New("the connection was reset")} {
			ctx, leave := context.WithCancel(t.Context())
			broken := io.MultiReader(io.LimitReader(rand.Reader, size), failing(func() error { leave(); return cause }))
			if _, err := a.public.AddUpload(ctx, signer.Upload{ID: "broken", ApplicationID: "sede", CreatedAt: a.now}, broken); !errors.Is(err, cause) {
				t.Errorf("%d octets: got %v, want %v", size, err, cause)
			}
		}
	}
	u, err := a.public.AddUpload(t.Context(), signer.Upload{ID: "empty", ApplicationID: "sede", CreatedAt: a.now}, bytes.NewReader(nil))
	if err != nil || u.Size != 0 {
		t.Errorf("of nothing: got %+v, %v", u, err)
	}
	if rows := left(); rows != 0 {
		t.Errorf("got %d contents, want none", rows)
	}
}

// failing is a reader that fails so.
type failing func() error

func (f failing) Read([]byte) (int, error) { return 0, f() }

// What has not all come can be named by nobody, holds no connection while it waits
// for its sender, and goes after a day if its sender's process does not come back.
func TestUploadWhileItArrives(t *testing.T) {
	t.Parallel()
	a := newDeposit(t)
	pool, err := store.Open(t.Context(), a.url.API+"&pool_max_conns=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	public := store.ForPublic(pool)
	from, to := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := public.AddUpload(t.Context(), signer.Upload{ID: "slow", ApplicationID: "sede", CreatedAt: a.now}, from)
		done <- err
	}()
	if _, err := to.Write(make([]byte, 8<<20+1)); err != nil { // more is asked for: the first eight pieces are stored
		t.Fatal(err)
	}
	if _, err := public.Upload(t.Context(), "sede", "slow"); !errors.Is(err, policies.Refuse(policies.UploadUnknown)) {
		t.Errorf("while it arrives: got %v, want it unknown", err)
	}
	if err := a.request("early", "sede", signer.Upload{Size: 1 << 20}, signer.NewContent{Upload: "slow"}); !errors.Is(err, policies.Refuse(policies.UploadUnknown)) {
		t.Errorf("named while it arrives: got %v, want it unknown", err)
	}
	if err := public.Purge(t.Context(), a.now.Add(25*time.Hour), 7*24*time.Hour, 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("got an upload whose beginning had been forgotten")
	}
}

// However many documents are on their way, what is a line long goes past them.
func TestUploadsLeaveConnections(t *testing.T) {
	t.Parallel()
	a := newDeposit(t)
	u := a.upload("there", []byte("contenido"))
	pool, err := store.Open(t.Context(), a.url.API+"&pool_max_conns=2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	public := store.ForPublic(pool)
	locked, err := as(t, a.url.Owner).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locked.Exec(t.Context(), `LOCK TABLE content_pieces IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			if i%2 == 0 {
				if err := public.WriteUpload(t.Context(), io.Discard, "there"); err != nil {
					t.Errorf("reading: %v", err)
				}
				return
			}
			up := signer.Upload{ID: strings.Repeat("x", i), ApplicationID: "sede", CreatedAt: a.now}
			if _, err := public.AddUpload(t.Context(), up, strings.NewReader("contenido")); err != nil {
				t.Errorf("writing: %v", err)
			}
		})
	}
	watch := as(t, a.url.Owner)
	waiting := func() (n int) {
		t.Helper()
		err := watch.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE relation = 'content_pieces'::regclass AND NOT granted`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for waiting() == 0 && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	if got, err := public.Upload(ctx, "sede", "there"); err != nil || got.Size != u.Size {
		t.Errorf("meanwhile: got %+v, %v", got, err)
	}
	if n := waiting(); n != 1 {
		t.Errorf("got %d connections that wait for the pieces, want half of them", n)
	}
	if err := locked.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}

// Contents go when the retention is over, and those that no request used after a day.
func TestPurgeForgetsContents(t *testing.T) {
	t.Parallel()
	a := newDeposit(t)
	idle, used := a.upload("idle", []byte("ocioso")), a.upload("used", []byte("usado"))
	for _, id := range []string{"r", "other"} {
		if err := a.request(id, "sede", used, signer.NewContent{Upload: "used"}); err != nil {
			t.Fatal(err)
		}
	}
	purge := func(at time.Time) {
		t.Helper()
		if err := a.public.Purge(t.Context(), at, 7*24*time.Hour, 24*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	here := func(id string) bool { _, err := a.public.Upload(t.Context(), "sede", id); return err == nil }
	purge(a.now.Add(23 * time.Hour))
	if !here(idle.ID) || !here(used.ID) {
		t.Error("something was forgotten within a day")
	}
	purge(a.now.Add(25 * time.Hour))
	if here(idle.ID) || !here(used.ID) {
		t.Errorf("after a day: got idle %v, used %v, want false, true", here(idle.ID), here(used.ID))
	}
	// One upload may serve several requests: it is kept for those that are open.
	a.sql(`UPDATE requests SET state = 'refused', closed_at = $1 WHERE id = 'r'`, a.now)
	purge(a.now.Add(8 * 24 * time.Hour))
	if err := a.public.WriteContent(t.Context(), io.Discard, "r", 1); !errors.Is(err, policies.Refuse(policies.NotFound)) {
		t.Errorf("after the retention, with another request open: got %v, want %v", err, policies.NotFound)
	}
	if err := a.public.WriteContent(t.Context(), io.Discard, "other", 1); err != nil {
		t.Errorf("of the request that is open: %v", err)
	}
	a.sql(`UPDATE requests SET state = 'refused', closed_at = $1`, a.now)
	purge(a.now.Add(8 * 24 * time.Hour))
	if here(used.ID) {
		t.Error("a content that nobody needs any more is still there")
	}
	if err := a.public.WriteContent(t.Context(), io.Discard, "r", 1); !errors.Is(err, policies.Refuse(policies.NotFound)) {
		t.Errorf("after the retention: got %v, want %v", err, policies.NotFound)
	}
}

// Forgetting does not read all requests that ever were, and marks what it has
// done.
func TestPurgeReadsNoMoreThanItForgets(t *testing.T) {
	t.Parallel()
	a := newDeposit(t)
	a.sql(`
		INSERT INTO requests (id, application_id, identifier, title, locale, return_url, idempotency_key, body_hash, state, created_at, expires_at, closed_at)
		SELECT 'p' || n, 'sede', '12345678Z', 't', 'es', 'https://sede.example/', 'k' || n, '', 'signed', $1, $1,
			$1::timestamptz - CASE WHEN n > 20 THEN interval '1 day' ELSE interval '30 days' END
		FROM generate_series(1, 20000) n`, a.now)
	a.sql(`
		INSERT INTO documents (request_id, ordinal, name, media_type, format, size, sha256, update)
		SELECT id, 1, 'd.txt', 'text/plain', 'cades-detached', 1, '', 'x' FROM requests`)
	a.sql(`ANALYZE`)
	scans := func() (n int64) {
		t.Helper()
		if err := as(t, a.url.Owner).QueryRow(t.Context(), `SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'requests'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	time.Sleep(time.Second) // the numbers come late
	before := scans()
	db, err := store.Open(t.Context(), a.url.API)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.ForPublic(db).Purge(t.Context(), a.now, 7*24*time.Hour, 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	db.Close() // its connections report when they end
	time.Sleep(time.Second)
	if got := scans() - before; got != 0 {
		t.Errorf("got all requests read %d times, want never", got)
	}
	var marked, left int
	if err := as(t, a.url.Owner).QueryRow(t.Context(), `
		SELECT (SELECT count(*) FROM requests WHERE purged_at IS NOT NULL), (SELECT count(*) FROM documents WHERE update IS NOT NULL)`).Scan(&marked, &left); err != nil {
		t.Fatal(err)
	}
	if marked != 20 || left != 19_980 {
		t.Errorf("got %d requests marked and %d documents kept, want 20 and 19980", marked, left)
	}
}

// A signature only climbs.
func TestAugmentationsClimb(t *testing.T) {
	t.Parallel()
	a := newDeposit(t)
	u := a.upload("u", []byte("x"))
	if err := a.request("r", "sede", u, signer.NewContent{Upload: "u"}); err != nil {
		t.Fatal(err)
	}
	augment := func(level cades.Level, cms string) {
		t.Helper()
		if err := a.public.Augment(t.Context(), "r", signer.Augmented{Ordinal: 1, Reached: level, CMS: []byte(cms)}, a.now); err != nil {
			t.Fatal(err)
		}
	}
	augment(cades.BT, "too early")
	if got, err := a.public.Augmented(t.Context(), "r", 1); err != nil || got != nil {
		t.Fatalf("before the signature: got %v, %v, want nothing", got, err)
	}
	a.sql(`UPDATE documents SET cms = 'c'`)
	for _, step := range []struct {
		level cades.Level
		cms   string
		want  string
	}{{cades.BB, "b", "b"}, {cades.BT, "t", "t"}, {cades.BT, "t2", "t"}, {cades.BLTA, "lta", "lta"}, {cades.BLT, "lt", "lta"}} {
		augment(step.level, step.cms)
		got, err := a.public.Augmented(t.Context(), "r", 1)
		if err != nil || string(got.CMS) != step.want {
			t.Errorf("after %s: got %v, %v, want %q", step.level, got, err, step.want)
		}
	}
	// What lacks may become known later, though nothing more is reached.
	again := signer.Augmented{Ordinal: 1, Reached: cades.BLTA, Lacking: policies.LevelUnreachable, CMS: []byte("another")}
	if err := a.public.Augment(t.Context(), "r", again, a.now); err != nil {
		t.Fatal(err)
	}
	if got, err := a.public.Augmented(t.Context(), "r", 1); err != nil || got.Lacking != policies.LevelUnreachable || string(got.CMS) != "lta" {
		t.Errorf("the same level again: got %v, %v; want what lacks, and the signature as it was", got, err)
	}
}
