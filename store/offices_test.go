package store_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// stamp stands for the token's seal, at an epoch.
type stamp int

func (stamp) mac(epoch int, kind string, fields []string) []byte {
	h := hmac.New(sha256.New, fmt.Appendf(nil, "in the token, %d", epoch))
	_, _ = fmt.Fprintf(h, "%q %q", kind, fields)
	return h.Sum(nil)
}

func (s stamp) Seal(_ context.Context, kind string, fields ...string) (int, []byte, error) {
	return int(s), s.mac(int(s), kind, fields), nil
}

func (s stamp) CheckSeal(_ context.Context, epoch int, mac []byte, kind string, fields ...string) error {
	if epoch < 1 || epoch > int(s) || !hmac.Equal(mac, s.mac(epoch, kind, fields)) {
		return policies.Refuse(policies.RecordTampered)
	}
	return nil
}

// counter is an office in a database of its own.
type counter struct {
	url    pgtest.Database
	db     *store.DB
	office citizen.Office
	key    *ecdsa.PrivateKey
	desk   citizen.Desk
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	c := &counter{url: pgtest.New(t, store.Migrate)}
	var err error
	if c.db, err = store.Open(t.Context(), c.url.Signer); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.db.Close)
	c.office = citizen.Office{ID: "office", Name: "Oficina", Organisation: "Ayuntamiento", Scopes: []string{"registration"}, Enabled: true}
	c.key, c.office.PublicKey = keyPair(t)
	if c.office.OfficeKey, err = c.office.Sealed(t.Context(), stamp(2)); err != nil {
		t.Fatal(err)
	}
	client := signer.Client{
		ID: c.office.ID, Name: c.office.Name, Organisation: c.office.Organisation,
		SecretHash: []byte("hash"), Scopes: c.office.Scopes,
	}
	if err := c.db.AddOffice(t.Context(), client, c.office.OfficeKey, time.Now()); err != nil {
		t.Fatal(err)
	}
	c.desk = citizen.Desk{Offices: c.db, Seals: stamp(2), Audience: "https://firma.example.es", Now: time.Now}
	return c
}

func keyPair(t *testing.T) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// act signs a renewal, with whatever key.
func (c *counter) act(t *testing.T, key *ecdsa.PrivateKey) citizen.Act {
	t.Helper()
	payload := fmt.Sprintf(`{"iss":"office","aud":%q,"iat":%d,"jti":%q,"act":"renew_activation","officer":"Rosa Gil","identifier":"12345678Z"}`,
		c.desk.Audience, time.Now().Unix(), rand.Text())
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"alg":"ES256","typ":"rubrica-office-act+jws"}`)) + "." + encode([]byte(payload))
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return citizen.Act{Office: "office", JWS: input + "." + encode(signature)}
}

func TestOffice(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	got, err := c.db.Office(t.Context(), "office")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.office, got); diff != "" {
		t.Errorf("office (-want +got):\n%s", diff)
	}
	if _, err := c.db.Office(t.Context(), "nobody"); !errors.Is(err, policies.Refuse(policies.ApplicationUnknown)) {
		t.Errorf("got %v, want application_unknown", err)
	}
	// One that was added before offices had keys, or asks for signatures only.
	if err := c.db.AddApplication(t.Context(), signer.Client{
		ID: "sede", Name: "Sede", Organisation: "Ayuntamiento",
		SecretHash: []byte("hash"), Scopes: []string{"signature"},
	}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got, err := c.db.Office(t.Context(), "sede"); err != nil || got.PublicKey != nil || got.Seal != nil || got.SealEpoch != 0 {
		t.Errorf("got %+v %v, want no key", got, err)
	}
}

// TestOfficeRowRewritten is an insider with the database: whatever is changed
// in an office's row, its acts are refused, and so are those of a new key.
func TestOfficeRowRewritten(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	owner := as(t, c.url.Owner)
	mine, der := keyPair(t)
	if _, err := c.desk.Accept(t.Context(), c.act(t, c.key)); err != nil {
		t.Fatalf("before: %v", err)
	}
	if _, err := owner.Exec(t.Context(), `CREATE TABLE kept AS SELECT id, name, organisation, scopes, enabled, public_key, seal, seal_epoch FROM applications`); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`public_key = @der`, `name = 'Otra'`, `organisation = 'Otra'`, `scopes = '{registration,signature}'`, `enabled = false`,
		`seal_epoch = 1`, `seal = ''`, `seal = @der`,
	} {
		if _, err := owner.Exec(t.Context(), `UPDATE applications SET `+sql, pgx.NamedArgs{"der": der}); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		for _, key := range []*ecdsa.PrivateKey{c.key, mine} {
			if _, err := c.desk.Accept(t.Context(), c.act(t, key)); !errors.Is(err, policies.Refuse(policies.RecordTampered)) {
				t.Errorf("%s: got %v, want record_tampered", sql, err)
			}
		}
		if _, err := owner.Exec(t.Context(), `
			UPDATE applications a
			SET (name, organisation, scopes, enabled, public_key, seal, seal_epoch) =
				(SELECT name, organisation, scopes, enabled, public_key, seal, seal_epoch FROM kept k WHERE k.id = a.id)`); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.desk.Accept(t.Context(), c.act(t, c.key)); err != nil {
		t.Errorf("after: got %v, want it accepted again", err)
	}
}

// TestResealOffices begins another epoch of the seal. What somebody has written
// into the database meanwhile is not sealed with the rest.
func TestResealOffices(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	forged := c.office
	forged.ID = "forged"
	if err := c.db.AddOffice(t.Context(), signer.Client{
		ID: forged.ID, Name: forged.Name, Organisation: forged.Organisation, SecretHash: []byte("hash"), Scopes: forged.Scopes,
	}, forged.OfficeKey, time.Now()); err != nil { // with the seal of another
		t.Fatal(err)
	}
	c.desk.Seals = stamp(3)
	if err := citizen.ResealOffices(t.Context(), c.db, stamp(3)); !errors.Is(err, policies.Refuse(policies.RecordTampered)) {
		t.Errorf("got %v, want the forged office told", err)
	}
	for id, want := range map[string]int{"office": 3, "forged": 2} {
		if o, err := c.db.Office(t.Context(), id); err != nil || o.SealEpoch != want {
			t.Errorf("%s: got epoch %d %v, want %d", id, o.SealEpoch, err, want)
		}
	}
	if _, err := c.desk.Accept(t.Context(), c.act(t, c.key)); err != nil {
		t.Errorf("got %v, want the office's acts accepted", err)
	}
	// A row that changed after it was read stays as it is.
	if err := c.db.ResealOffice(t.Context(), c.office, citizen.OfficeKey{Seal: []byte("late"), SealEpoch: 4}); err != nil {
		t.Fatal(err)
	}
	if o, err := c.db.Office(t.Context(), "office"); err != nil || o.SealEpoch != 3 {
		t.Errorf("got epoch %d %v, want 3", o.SealEpoch, err)
	}
}

// TestOfficesStay: whoever registers people asks for nothing else.
func TestOfficesStay(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	admin := c.db.Administration(store.Operator{})
	if err := admin.SetScopes(t.Context(), "office", []string{"signature"}, time.Now()); !errors.Is(err, policies.Refuse(policies.QueryInvalid)) {
		t.Errorf("got %v, want it refused", err)
	}
	if err := admin.SetScopes(t.Context(), "nobody", []string{"signature"}, time.Now()); !errors.Is(err, policies.Refuse(policies.ApplicationUnknown)) {
		t.Errorf("of nobody: got %v, want nobody known", err)
	}
	if o, err := c.db.Office(t.Context(), "office"); err != nil || !slices.Equal(o.Scopes, c.office.Scopes) {
		t.Errorf("got %v %v, want it as it was", o.Scopes, err)
	}
}

// TestOneActOnce posts one act fifty times at once, over as many connections
// as the pool has.
func TestOneActOnce(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	act := c.act(t, c.key)
	const posts = 50
	results := make(chan error, posts)
	for range posts {
		go func() {
			_, err := c.desk.Accept(t.Context(), act)
			results <- err
		}()
	}
	accepted := 0
	for range posts {
		switch err := <-results; {
		case err == nil:
			accepted++
		case !errors.Is(err, policies.Refuse(policies.OfficeActRepeated)):
			t.Errorf("got %v, want office_act_repeated", err)
		}
	}
	if accepted != 1 {
		t.Errorf("got the act accepted %d times, want once", accepted)
	}
	// It is not accepted after a restart either, until it is forgotten, when it
	// is long out of its time.
	again, err := store.Open(t.Context(), c.url.Signer)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	c.desk.Offices = again
	if err := again.Forget(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.desk.Accept(t.Context(), act); !errors.Is(err, policies.Refuse(policies.OfficeActRepeated)) {
		t.Errorf("got %v, want office_act_repeated", err)
	}
	if err := again.Forget(t.Context(), time.Now().Add(25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := as(t, c.url.Owner).QueryRow(t.Context(), `SELECT count(*) FROM office_acts`).Scan(&left); err != nil || left != 0 {
		t.Errorf("got %d acts left %v, want none", left, err)
	}
}

// TestOfficeGrants: the public side carries acts, and cannot even see which
// there were. It may read an office's key, which is no secret, and write none.
func TestOfficeGrants(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	public := as(t, c.url.API)
	for _, sql := range append(writes("office_acts.jti", "applications.public_key", "applications.seal"), `SELECT jti FROM office_acts`) {
		if _, err := public.Exec(t.Context(), sql); stateOf(err) != insufficientPrivilege {
			t.Errorf("%s: got %v, want permission denied", sql, err)
		}
	}
	if _, err := as(t, c.url.Signer).Exec(t.Context(), `UPDATE office_acts SET at = now()`); stateOf(err) != insufficientPrivilege {
		t.Errorf("the signer changes an act: got %v, want permission denied", err)
	}
	var der []byte
	if err := public.QueryRow(t.Context(), `SELECT public_key FROM applications`).Scan(&der); err != nil || !bytes.Equal(der, c.office.PublicKey) {
		t.Errorf("got %x %v, want the office's key", der, err)
	}
}
