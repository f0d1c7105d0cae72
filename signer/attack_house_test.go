package signer_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/internal/postgres"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/rpc"
)

// watchedKeys counts what is asked of the token.
type watchedKeys struct {
	signer.Keys

	macs atomic.Int64
	lent atomic.Int64 // citizens' keys lent out: what comes before every signature
}

func (w *watchedKeys) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	w.macs.Add(1)
	return w.Keys.MAC(ctx, label, data)
}

func (w *watchedKeys) WithWrapped(ctx context.Context, kek, algorithm string, public crypto.PublicKey, blob []byte, use func(crypto.Signer) error) error {
	return w.Keys.WithWrapped(ctx, kek, algorithm, public, blob, func(key crypto.Signer) error {
		w.lent.Add(1)
		return use(key)
	})
}

func (w *watchedKeys) WithTokenKey(ctx context.Context, label, algorithm string, public crypto.PublicKey, use func(crypto.Signer) error) error {
	return w.Keys.WithTokenKey(ctx, label, algorithm, public, func(key crypto.Signer) error {
		w.lent.Add(1)
		return use(key)
	})
}

// journal keeps what is logged, down to the debug level.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// step runs a part of a test in the same house.
func (s *spine) step(name string, run func()) {
	s.Helper()
	parent := s.T
	parent.Run(name, func(t *testing.T) {
		s.T = t
		run()
	})
	s.T = parent
}

// insider is somebody with psql and every right in the database.
type insider struct {
	*pgx.Conn

	s *spine
}

func (s *spine) insider() *insider {
	s.Helper()
	url := postgres.URL(os.Getenv(pgtest.Variable), postgres.Superuser, "", s.database.Name)
	i := &insider{must[*pgx.Conn](s.T)(pgx.Connect(s.Context(), url)), s}
	s.Cleanup(func() { _ = i.Close(context.Background()) })
	// Nor do foreign keys stand in the way.
	i.run(`SET session_replication_role = replica`)
	i.run(`CREATE SCHEMA IF NOT EXISTS kept`)
	return i
}

// run executes a statement and reports how many rows it touched.
func (i *insider) run(sql string, args ...any) int64 {
	i.s.Helper()
	tag, err := i.Exec(i.s.Context(), sql, args...)
	if err != nil {
		i.s.Fatalf("running %s: %v", strings.TrimSpace(sql), err)
	}
	return tag.RowsAffected()
}

// alter is run for a statement that must find something to alter.
func (i *insider) alter(sql string, args ...any) {
	i.s.Helper()
	if i.run(sql, args...) == 0 {
		i.s.Fatalf("%s: no row was altered", strings.TrimSpace(sql))
	}
}

// ceremonial are the tables from which a ceremony is decided.
func ceremonial() []string {
	return []string{
		"citizens", "registrations", "credentials", "certificates", "activations", "attempts", "familiar_sources", "token_keys",
		"requests", "documents", "tickets", "challenges", "authorisations",
	}
}

// keep copies rows under a name, and bring puts them back as they were.
func (i *insider) keep(name string) {
	i.s.Helper()
	for _, table := range ceremonial() {
		i.run(fmt.Sprintf(`DROP TABLE IF EXISTS kept.%s_%s`, name, table))
		i.run(fmt.Sprintf(`CREATE TABLE kept.%s_%s AS TABLE public.%[2]s`, name, table))
	}
}

func (i *insider) bring(name string, tables ...string) {
	i.s.Helper()
	if tables == nil {
		tables = ceremonial()
	}
	for _, table := range tables {
		i.run(`DELETE FROM public.` + table)
		i.run(fmt.Sprintf(`INSERT INTO public.%[2]s OVERRIDING SYSTEM VALUE TABLE kept.%[1]s_%[2]s`, name, table))
	}
}

// columns of a table, as the database has them.
func (i *insider) columns(table string) []string {
	i.s.Helper()
	rows, err := i.Query(i.s.Context(), `
		SELECT column_name FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position`, table)
	if err != nil {
		i.s.Fatalf("listing columns: %v", err)
	}
	return must[[]string](i.s.T)(pgx.CollectRows(rows, pgx.RowTo[string]))
}

// text reads one value.
func (i *insider) text(sql string, args ...any) string {
	i.s.Helper()
	var v string
	if err := i.QueryRow(i.s.Context(), sql, args...).Scan(&v); err != nil {
		i.s.Fatalf("running %s: %v", strings.TrimSpace(sql), err)
	}
	return v
}

// refused checks that an attempt met one of these refusals; none given means
// that any error will do.
func (s *spine) refused(what string, err error, codes ...policies.Code) {
	s.Helper()
	if err == nil {
		s.Errorf("%s: it was let through", what)
		return
	}
	for _, code := range codes {
		if errors.Is(err, policies.Refuse(code)) {
			return
		}
	}
	if len(codes) > 0 {
		s.Errorf("%s: got %v, want %v", what, err, codes)
	}
}

// unsigned checks that nothing of a request has been signed, nor a key used
// since there were lent of them.
func (s *spine) unsigned(what, request string, lent int64) {
	s.Helper()
	if got := s.keys.lent.Load(); got != lent {
		s.Errorf("%s: %d keys were used", what, got-lent)
	}
	r := must[signer.Request](s.T)(s.public.Request(s.Context(), request))
	if r.State == signer.Signed || r.State == signer.Signing {
		s.Errorf("%s: the request is %s", what, r.State)
	}
	for _, d := range r.Documents {
		if d.CMS != nil {
			s.Errorf("%s: document %d is signed", what, d.Ordinal)
		}
	}
	if n := s.logged("sign.done", request); n != 0 {
		s.Errorf("%s: %d signatures in the log", what, n)
	}
}

// consent takes a citizen to an authorisation that waits to be spent.
func (s *spine) consent(dni, password string, contents ...string) (string, signer.SAD) {
	s.Helper()
	s.clock.advance(time.Hour) // so that the pace of codes is no matter
	request := s.ask(dni, contents...)
	return request, s.consentTo(request, dni, password)
}

func (s *spine) consentTo(request, dni, password string) signer.SAD {
	s.Helper()
	session := must[signer.Session](s.T)(s.identify(request, dni, password))
	if !session.Certified {
		session = s.certify(session)
	}
	s.fix(request, session)
	s.send(session, signer.ForSignature)
	a := must[signer.Authorised](s.T)(s.module.Authorise(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}))
	s.invariants()
	return a.SAD
}

// signs checks that a citizen can sign.
func (s *spine) signs(dni, password string) {
	s.Helper()
	request, sad := s.consent(dni, password, "sigue firmando")
	if err := s.module.Sign(s.Context(), sad); err != nil {
		s.Errorf("signing: %v", err)
	}
	if got, want := s.state(request), signer.Signed; got != want {
		s.Errorf("state %s, want %s", got, want)
	}
	s.invariants()
}

func (s *spine) identifier(dni string) citizen.Identifier {
	s.Helper()
	return must[citizen.Identifier](s.T)(citizen.ParseIdentifier(dni))
}

func order() citizen.Order {
	return citizen.Order{By: citizen.By{Office: "office", Officer: "officer", Statement: "statement"}, Reason: "prueba"}
}

// change gives Ana the second password, who knows the present one.
func (s *spine) change(from string) error {
	s.Helper()
	session := must[signer.Session](s.T)(s.identify("", ana, from))
	s.send(session, signer.ForPassword)
	if err := s.register.Confirm(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code}); err != nil {
		return err
	}
	return s.register.ChangePassword(s.Context(), session.Ticket, s.chosen(second))
}

func (s *spine) chosen(password string) citizen.Password {
	s.Helper()
	s.checker.Secrets = append(s.checker.Secrets, password)
	return must[citizen.Password](s.T)(citizen.ParsePassword([]byte(password)))
}

// forget takes Ana through a new activation, as one who has forgotten the
// password.
func (s *spine) forget(to string) {
	s.Helper()
	receipt := must[citizen.Receipt](s.T)(s.register.RenewActivation(s.Context(), s.identifier(ana), citizen.By{Office: "office"}))
	s.checker.Secrets = append(s.checker.Secrets, to)
	s.enter(s.person(ana, anaPhone), receipt.ActivationCode, to)
}

// client reaches the module as the public side does, over its socket.
func (s *spine) client() *rpc.Client {
	s.Helper()
	socket := filepath.Join(s.TempDir(), "signer")
	listener := must[net.Listener](s.T)(rpc.Listen(s.Context(), rpc.ListenConfig{Socket: socket, Logger: s.journal.logger()}))
	server := rpc.NewServer(rpc.Handler(rpc.Services{Module: s.module, Register: s.register, Profile: s.own(new(mailbox)), Ready: s.db.Ping, Logger: s.journal.logger()}), s.journal.logger())
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(listener) })
	s.Cleanup(func() {
		_ = server.Close()
		served.Wait()
	})
	return must[*rpc.Client](s.T)(rpc.Dial(rpc.DialConfig{Socket: socket, Logger: s.journal.logger()}))
}
