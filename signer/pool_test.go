package signer_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/signer"
)

// made is a wrapped key that the token let out. The octets are those that were
// handed on, so that it shows when they are zeroed.
type made struct {
	kek    string
	public []byte
	octets []byte
	copied []byte
}

func (m made) zeroed() bool {
	return !bytes.ContainsFunc(m.octets, func(r rune) bool { return r != 0 })
}

// maker is a token that remembers which keys it made.
type maker struct {
	signer.Keys

	mu   sync.Mutex
	keys []made
}

func (m *maker) GenerateWrapped(ctx context.Context, kek, algorithm string) (crypto.PublicKey, []byte, error) {
	public, octets, err := m.Keys.GenerateWrapped(ctx, kek, algorithm)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = append(m.keys, made{kek: kek, public: der, octets: octets, copied: bytes.Clone(octets)})
	return public, octets, nil
}

func (m *maker) all() []made {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.keys)
}

// keepReady runs the module over a maker, with keys ready; stop ends their being made.
func (s *spine) keepReady(ready int) (m *maker, stop func()) {
	s.Helper()
	m = &maker{Keys: s.module.Keys}
	config := s.module.Config
	config.Keys, config.ReadyKeys = m, ready
	s.module = signer.New(config)
	return m, s.runReady()
}

func (s *spine) runReady() (stop func()) {
	ctx, cancel := context.WithCancel(s.Context())
	var ended sync.WaitGroup
	ended.Go(func() { s.module.KeepReady(ctx) })
	stop = func() { cancel(); ended.Wait() }
	s.Cleanup(stop)
	return stop
}

// waits until so many keys were made, and checks that no more are.
func (s *spine) waits(m *maker, want int) []made {
	s.Helper()
	for end := time.Now().Add(time.Minute); len(m.all()) < want && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(600 * time.Millisecond)
	keys := m.all()
	if len(keys) != want {
		s.Fatalf("%d keys were made, want %d", len(keys), want)
	}
	return keys
}

// holding counts the rows of all tables that have these octets in them.
func (s *spine) holding(octets []byte) int {
	s.Helper()
	found, in := 0, s.insider()
	for table := range strings.FieldsSeq(in.text(`SELECT string_agg(quote_ident(tablename), ' ') FROM pg_tables WHERE schemaname = 'public'`)) {
		var rows int
		if err := in.QueryRow(s.Context(), `SELECT count(*) FROM `+table+` t WHERE strpos(t::text, $1) > 0`, hex.EncodeToString(octets)).Scan(&rows); err != nil {
			s.Fatalf("searching %s: %v", table, err)
		}
		found += rows
	}
	return found
}

// A citizen is given a key that was ready, which signs like any other. Before
// and after, no table has it; as soon as it is sealed no copy is left, and with
// the service go those that nobody took. With keeper token there are none.
func TestReadyKeys(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		m, stop := s.keepReady(2)
		_, k := s.record()
		if k.Keeper == signer.TokenKeeper {
			time.Sleep(2 * time.Second)
			s.signs(ana, password)
			s.waits(m, 0)
			return
		}
		ready := s.waits(m, 2)
		s.signs(ana, password)
		_, k = s.record()
		if !bytes.Equal(k.PublicKey, ready[0].public) {
			s.Error("the citizen's key is not the one that was ready first")
		}
		if !ready[0].zeroed() || ready[1].zeroed() {
			s.Errorf("zeroed: %t, %t; want the first only", ready[0].zeroed(), ready[1].zeroed())
		}
		all := s.waits(m, 3)
		for i, key := range all {
			if n := s.holding(key.copied[:16]) + s.holding(key.copied[len(key.copied)-16:]); n != 0 {
				s.Errorf("key %d stands in %d rows", i, n)
			}
		}
		if s.holding(k.Sealed.Box) != 1 {
			s.Error("the search finds not even the box")
		}
		stop()
		for i, key := range all {
			if !key.zeroed() {
				s.Errorf("key %d is there after the end", i)
			}
		}
		s.signs(ana, password)
		request, sad := s.consent(ana, password, "con una llave que estaba lista")
		s.well("signing", s.module.Sign(s.Context(), sad))
		_, k = s.record()
		if err := s.verifies(request, k); err != nil {
			s.Errorf("verifying: %v", err)
		}
	})
}

// A key under a key-encryption key that has given way is nobody's: it goes, and
// others are made, before anybody asks.
func TestReadyKeysOfAnotherEpoch(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	m, _ := s.keepReady(2)
	old := s.waits(m, 2)
	s.rotate(signer.KEK)
	all := s.waits(m, 4)
	for i, key := range all {
		if want := signer.KEK.Label(1 + i/2); key.kek != want {
			t.Errorf("key %d is under %s, want %s", i, key.kek, want)
		}
	}
	if !old[0].zeroed() || !old[1].zeroed() {
		t.Error("those of the old epoch are still there")
	}
	s.signs(ana, password)
	if _, k := s.record(); k.KEK != 2 || !bytes.Equal(k.PublicKey, all[2].public) {
		t.Errorf("the key is under epoch %d, want the first of epoch 2", k.KEK)
	}
}

// A key that was taken at the very moment at which another epoch began is not
// used: what a citizen gets is of the epoch that its record names.
func TestReadyKeysAtARotation(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	m, stop := s.keepReady(1)
	s.waits(m, 1)
	config := s.module.Config
	request := s.ask(ana, "nota")
	session := must[signer.Session](t)(s.identify(request, ana, password))
	s.module.Step = func(name string) {
		if name == "issue/begun" {
			s.rotate(signer.KEK)
			time.Sleep(time.Second)
		}
	}
	s.certify(session)
	s.module.Step = config.Step
	stop()
	_, k := s.record()
	i := slices.IndexFunc(m.all(), func(key made) bool { return bytes.Equal(key.public, k.PublicKey) })
	if i < 0 || m.all()[i].kek != signer.KEK.Label(k.KEK) {
		t.Errorf("the key is not one of epoch %d, as its record says", k.KEK)
	}
	s.clock.advance(time.Minute)
	s.signs(ana, password)
}

// While a citizen waits, no key is made.
func TestNoKeysWhileBusy(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	request := s.ask(ana, "nota")
	session := must[signer.Session](t)(s.identify(request, ana, password))
	s.send(session, signer.ForCertificate)

	waiting, goOn := make(chan struct{}), make(chan struct{})
	s.module.Step = func(name string) {
		if name == "issue/finished" {
			close(waiting)
			<-goOn
		}
	}
	m := &maker{Keys: s.module.Keys}
	config := s.module.Config
	config.Keys, config.ReadyKeys = m, 1
	s.module = signer.New(config)
	done := make(chan error)
	answer := signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}
	go func() {
		_, err := s.module.IssueCredential(s.Context(), answer)
		done <- err
	}()
	<-waiting
	s.runReady()
	time.Sleep(2500 * time.Millisecond)
	if n := len(m.all()); n != 1 {
		t.Errorf("%d keys were made, want the citizen's own", n)
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.waits(m, 2)
}

// However many come at once, no two get the same key.
func TestReadyKeysAreNotShared(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	people := map[string]string{ana: anaPhone, "00000000T": "600111422", "00000001R": "600111423", "00000002W": "600111424", "00000003A": "600111425", "00000004G": "600111426"}
	m, _ := s.keepReady(3)
	var answers []signer.Answer
	for dni, mobile := range people {
		s.activate(dni, mobile)
		session := must[signer.Session](t)(s.identify(s.ask(dni, "nota"), dni, password))
		s.send(session, signer.ForCertificate)
		answers = append(answers, signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code})
	}
	s.waits(m, 3)
	var issuing errgroup.Group
	for _, answer := range answers {
		issuing.Go(func() error {
			_, err := s.module.IssueCredential(s.Context(), answer)
			return err
		})
	}
	if err := issuing.Wait(); err != nil {
		t.Fatal(err)
	}
	owners := map[string]string{}
	for dni := range people {
		_, k, err := s.db.CitizenByIdentifier(s.Context(), dni)
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := owners[string(k.PublicKey)]; taken {
			t.Errorf("%s and %s have the same key", dni, other)
		}
		owners[string(k.PublicKey)] = dni
	}
	ready := 0
	for _, key := range m.all()[:3] {
		if owners[string(key.public)] != "" {
			ready++
		}
	}
	if ready != 3 {
		t.Errorf("%d of the three that were ready have an owner", ready)
	}
	s.clock.advance(time.Minute)
	for dni := range people {
		s.signs(dni, password)
	}
}
