package signer_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
	"github.com/rubrica-firma/rubrica/signer"
)

// thief has a copy of the database, as it is in the middle of two ceremonies.
type thief struct {
	*spine

	credential signer.Credential
	values     map[string][]byte // every value of every row, by table, column and row
}

func (s *spine) thief() thief {
	s.Helper()
	s.activate(ana, anaPhone)
	_, _ = s.consent(ana, password, "uno")
	s.clock.advance(time.Minute)
	_, _ = s.ready(ana, "dos")
	_, k, err := s.db.CitizenByIdentifier(s.Context(), ana)
	if err != nil {
		s.Fatalf("reading the dump: %v", err)
	}
	return thief{s, *k, s.insider().everything()}
}

// everything reads the whole database, as bytes.
func (i *insider) everything() map[string][]byte {
	i.s.Helper()
	out := map[string][]byte{}
	rows, err := i.Query(i.s.Context(), `
		SELECT table_name, column_name, data_type FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%'`)
	if err != nil {
		i.s.Fatalf("listing columns: %v", err)
	}
	type column struct{ Table, Name, Kind string }
	for _, c := range must[[]column](i.s.T)(pgx.CollectRows(rows, pgx.RowToStructByPos[column])) {
		read := `convert_to(` + c.Name + `::text, 'UTF8')`
		if c.Kind == "bytea" {
			read = c.Name
		}
		values, err := i.Query(i.s.Context(), `SELECT `+read+` FROM `+c.Table+` WHERE `+c.Name+` IS NOT NULL`)
		if err != nil {
			i.s.Fatalf("reading %s.%s: %v", c.Table, c.Name, err)
		}
		for n, v := range must[[][]byte](i.s.T)(pgx.CollectRows(values, pgx.RowTo[[]byte])) {
			out[c.Table+"."+c.Name+" "+hex.EncodeToString([]byte{byte(n >> 8), byte(n)})] = v
		}
	}
	return out
}

// With database and token, but no password: no value of the database is a
// wrapped key, nothing signs, and a guess costs one argon2id and one HMAC of the
// token; no value lets a guess be checked for less.
func TestStolenDumpWithToken(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	d := s.thief()
	public := must[crypto.PublicKey](t)(x509.ParsePKIXPublicKey(d.credential.PublicKey))
	sign := func(blob []byte) error {
		return s.token.WithWrapped(t.Context(), signer.KEK.Label(1), d.credential.Algorithm, public, blob, func(key crypto.Signer) error {
			digest := sha256.Sum256([]byte("del ladrón"))
			_, err := key.Sign(nil, digest[:], crypto.SHA256)
			return err
		})
	}
	for name, v := range d.values {
		for _, blob := range [][]byte{v, v[min(12, len(v)):]} { // with and without a nonce before it
			if err := sign(blob); !errors.Is(err, hsm.ErrBlob) {
				t.Errorf("%s: got %v, want %v", name, err, hsm.ErrBlob)
			}
		}
	}
	// The thief's program is sound: a wrapped key that he has signs.
	other, blob, err := s.token.GenerateWrapped(t.Context(), signer.KEK.Label(1), d.credential.Algorithm)
	if err != nil {
		t.Fatalf("generating a key: %v", err)
	}
	public = other
	if err := sign(blob); err != nil {
		t.Errorf("signing with a wrapped key: %v", err)
	}

	before := s.keys.macs.Load()
	for _, guess := range []string{"Equivocada-1", "Equivocada-2", password} {
		opens := must[bool](t)(s.vault.Opens(t.Context(), d.credential.Sealed, []byte(guess)))
		if want := guess == password; opens != want {
			t.Errorf("a guess opens: %t, want %t", opens, want)
		}
	}
	if got := s.keys.macs.Load() - before; got != 3 {
		t.Errorf("three guesses cost %d HMACs of the token, want 3", got)
	}
}

// No value of the database is a function of the password alone, of the password
// and the token, or of the stretched password and either: a dump with the token
// has no oracle but the box itself.
func TestNoOtherOracle(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		d := s.thief()
		c := d.credential
		stretched := argon2.IDKey([]byte(password), c.Sealed.Salt, c.Sealed.Cost.Passes, c.Sealed.Cost.MemoryKiB, c.Sealed.Cost.Lanes, 32)
		functions := map[string][]byte{}
		for name, input := range map[string][]byte{"password": []byte(password), "stretched password": stretched} {
			functions[name] = input
			salted := map[string][]byte{
				"": input, "salt‖": append(append([]byte{}, c.Sealed.Salt...), input...), "id‖": append([]byte(c.ID), input...),
				"citizen‖": append([]byte(c.CitizenID), input...), "seal‖": append([]byte("seal"), input...), "dni‖": append([]byte(ana), input...),
			}
			for prefix, data := range salted {
				sum := sha256.Sum256(data)
				functions["SHA-256 of "+prefix+name] = sum[:]
				for _, label := range []string{signer.Pepper.Label(1), signer.SealKey.Label(1)} {
					functions["HMAC with "+label+" of "+prefix+name] = must[[]byte](s.T)(s.token.MAC(s.Context(), label, data))
				}
				mac := hmac.New(sha256.New, c.Sealed.Salt)
				mac.Write(data)
				functions["HMAC under the salt of "+prefix+name] = mac.Sum(nil)
			}
		}
		for what, value := range functions {
			for where, v := range d.values {
				if strings.Contains(string(v), string(value)) || strings.Contains(string(v), hex.EncodeToString(value)) {
					s.Errorf("%s holds the %s", where, what)
				}
			}
		}
	})
}

// Without the token not even the right password opens anything.
func TestStolenDumpWithoutToken(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		d := s.thief()
		own := hsmtest.New(s.T)
		for _, secret := range signer.Secrets() {
			create := own.CreatePepper
			if secret == signer.KEK {
				create = own.CreateKEK
			}
			if err := create(s.Context(), secret.Label(1)); err != nil {
				s.Fatalf("creating the thief's own %s: %v", secret, err)
			}
		}
		vault := signer.NewVault(signer.VaultConfig{Keys: own, Epochs: s.vault.Epochs(), Cost: d.credential.Sealed.Cost})
		if must[bool](s.T)(vault.Opens(s.Context(), d.credential.Sealed, []byte(password))) {
			s.Error("the password opens the box under another pepper")
		}
		if !must[bool](s.T)(s.vault.Opens(s.Context(), d.credential.Sealed, []byte(password))) {
			s.Error("the password does not open the box under its own pepper")
		}
	})
}

// What keeper token does not promise: whoever has the PIN signs with a key that
// stays in the token. With keeper sealed the same program finds nothing to use.
func TestPINAlone(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		d := s.thief()
		public := must[crypto.PublicKey](s.T)(x509.ParsePKIXPublicKey(d.credential.PublicKey))
		used := 0
		use := func(crypto.Signer) error { used++; return nil }
		ctx := context.Background()
		for _, v := range d.values {
			if strings.HasPrefix(string(v), "rubrica-") {
				continue // the service's own: with the PIN alone it certifies, but does not sign for anybody
			}
			if err := s.token.WithTokenKey(ctx, string(v), d.credential.Algorithm, public, use); err == nil && d.credential.Keeper == signer.SealedKeeper {
				s.Errorf("the token has a key %q", v)
			}
		}
		if want := d.credential.Keeper == signer.TokenKeeper; (used > 0) != want {
			s.Errorf("the key was used %d times with the PIN alone, want any: %t", used, want)
		}
	})
}
