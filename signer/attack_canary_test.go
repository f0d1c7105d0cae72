package signer_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/invariants"
	"github.com/rubrica-firma/rubrica/signer"
)

// leaks are what must stand nowhere, by what they are: each in the forms in
// which it might.
type leaks map[string][]string

func (l leaks) text(what, secret string) { l[what] = invariants.Spellings(secret) }

func (l leaks) bytes(what string, secret []byte) {
	l[what] = []string{string(secret), hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret), base64.RawURLEncoding.EncodeToString(secret)}
}

// payloads catches wrapped keys and HMACs on their way out of the token.
type payloads struct {
	signer.Keys

	mu      sync.Mutex
	wrapped [][]byte
	macs    [][]byte
}

func (p *payloads) GenerateWrapped(ctx context.Context, kek, algorithm string) (crypto.PublicKey, []byte, error) {
	public, blob, err := p.Keys.GenerateWrapped(ctx, kek, algorithm)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrapped = append(p.wrapped, bytes.Clone(blob))
	return public, blob, err
}

// MAC remembers what a sealing key is derived from; other HMACs are stored.
func (p *payloads) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	mac, err := p.Keys.MAC(ctx, label, data)
	p.mu.Lock()
	defer p.mu.Unlock()
	if bytes.HasPrefix(data, []byte("\x00\x00\x00\x04seal")) {
		p.macs = append(p.macs, bytes.Clone(mac))
	}
	return mac, err
}

// Nothing secret is in the database, in its write-ahead log, in the job tables,
// or in what is logged at the debug level.
func TestCanaries(t *testing.T) { //nolint:paralleltest // so that little else is in the write-ahead log
	s := newSpine(t, signer.SealedKeeper)
	caught := &payloads{Keys: s.keys}
	s.vault = signer.NewVault(signer.VaultConfig{Keys: caught, Epochs: s.vault.Epochs(), Cost: signer.Cost{MemoryKiB: 64, Passes: 1, Lanes: 1}, Queue: 4})
	config := s.module.Config
	config.Keys, config.Vault = caught, s.vault
	s.module = signer.New(config)
	own := s.register.Config
	own.Vault, own.Codes = s.vault, s.module
	s.register = citizen.New(own)
	in, secret, client := s.insider(), leaks{}, s.client()
	from := in.text(`SELECT pg_current_wal_lsn()::text`)

	// One life, over the socket, with its failures.
	a := s.person(ana, anaPhone)
	receipt := must[citizen.Receipt](t)(s.register.Register(t.Context(), a))
	secret.text("the activation code", receipt.ActivationCode.Reveal())
	s.enter(a, receipt.ActivationCode, password)
	request := s.ask(ana, "canto-rodado-uno")
	session := must[signer.Session](t)(client.Identify(t.Context(), signer.Identification{RequestID: request, Identifier: ana, Password: []byte(password), RemoteAddr: home}))
	session = s.certify(session)
	s.fix(request, session)
	s.send(session, signer.ForSignature)
	_, _ = client.Authorise(t.Context(), signer.Answer{Ticket: session.Ticket, Code: s.otherCode(1)})
	authorised := must[signer.Authorised](t)(client.Authorise(t.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}))
	secret.bytes("the ticket", decoded(t, session.Ticket.Encode()))
	secret.bytes("the authorisation", decoded(t, authorised.SAD.Encode()))
	if err := client.Sign(t.Context(), authorised.SAD); err != nil {
		t.Fatalf("signing: %v", err)
	}
	_, k := s.record()
	for name, p := range map[string]string{"password": password, "wrong password": "Equivocada-1"} {
		secret.text("the "+name, p)
		secret.bytes("the stretched "+name, argon2.IDKey([]byte(p), k.Sealed.Salt, k.Sealed.Cost.Passes, k.Sealed.Cost.MemoryKiB, k.Sealed.Cost.Lanes, 32))
	}
	_, _ = client.Identify(t.Context(), signer.Identification{Identifier: ana, Password: []byte("Equivocada-1"), RemoteAddr: home})
	s.clock.advance(time.Minute)
	s.phone.dead = true
	other := s.ask(ana, "otro")
	session = s.again(other, password)
	s.fix(other, session)
	_, _ = s.module.SendCode(t.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForSignature})
	s.phone.dead = false
	if err := s.change(password); err != nil {
		t.Fatalf("changing the password: %v", err)
	}
	secret.text("the second password", second)
	for _, m := range s.phone.sent {
		secret.text("code "+m.ID, m.Code.Reveal())
	}
	if len(caught.wrapped) == 0 || len(caught.macs) == 0 {
		t.Fatal("nothing was caught on its way out of the token")
	}
	for _, blob := range caught.wrapped {
		secret.bytes("the wrapped key", blob)
	}
	for _, mac := range caught.macs {
		secret.bytes("the sealing key's source", mac)
		secret.bytes("the sealing key", must[[]byte](t)(hkdf.Key(sha256.New, mac, nil, "rubrica seal v1", 32)))
	}

	var database strings.Builder
	for _, v := range in.everything() {
		database.Write(v)
		database.WriteByte(' ')
	}
	wal := s.wal(in, from)
	for place, text := range map[string]string{"the database": database.String(), "the write-ahead log": wal, "what was logged": s.journal.text()} {
		for what, spellings := range secret {
			for _, spelling := range spellings {
				if invariants.Stands(text, spelling) {
					t.Errorf("%s stands in %s", what, place)
				}
			}
		}
	}
	// The search finds what is there.
	for place, text := range map[string]string{"the database": database.String(), "the write-ahead log": wal} {
		for what, present := range map[string]string{"the document": "canto-rodado-uno", "the ticket's hash": string(session.Ticket.Hash()), "a mail's job": "password_changed"} {
			if !strings.Contains(text, present) {
				t.Errorf("%s is not found in %s", what, place)
			}
		}
	}
	if !strings.Contains(s.journal.text(), "sms_not_accepted") {
		t.Error("nothing was logged")
	}
}

func decoded(t *testing.T, encoded string) []byte {
	t.Helper()
	return must[[]byte](t)(base64.RawURLEncoding.DecodeString(encoded))
}

// wal reads what the database has written ahead since.
func (s *spine) wal(in *insider, since string) string {
	s.Helper()
	first := in.text(`SELECT pg_walfile_name($1::pg_lsn)`, since)
	last := in.text(`SELECT pg_walfile_name(pg_switch_wal())`)
	dir := filepath.Join(in.text(`SHOW data_directory`), "pg_wal")
	var text strings.Builder
	for _, entry := range must[[]os.DirEntry](s.T)(os.ReadDir(dir)) {
		if name := entry.Name(); !entry.IsDir() && first <= name && name <= last {
			text.Write(must[[]byte](s.T)(os.ReadFile(filepath.Join(dir, name))))
		}
	}
	return text.String()
}
