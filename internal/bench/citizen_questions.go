package bench

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// register is a town with all that officers, auditors and citizens look at.
type register struct {
	*inhabited

	desk    store.Desk
	auditor store.Auditor
	opened  []*store.DB
	ids     map[string]string // of the residents, by DNI
}

func (s *server) openRegister(ctx context.Context, size int) (*register, error) {
	t, err := s.populate(ctx, size, onlookers)
	if err != nil {
		return nil, err
	}
	r := &register{inhabited: t, ids: make(map[string]string)}
	if err := r.furnish(ctx); err != nil {
		r.close()
		return nil, err
	}
	if err := r.connectAll(ctx); err != nil {
		r.close()
		return nil, err
	}
	for _, resident := range r.residents {
		c, _, err := r.db.CitizenByIdentifier(ctx, resident.identifier)
		if err != nil {
			r.close()
			return nil, fmt.Errorf("reading a citizen: %w", err)
		}
		r.ids[resident.identifier] = c.ID
	}
	return r, nil
}

// connectAll opens the database anew in each role.
func (r *register) connectAll(ctx context.Context) error {
	r.close()
	r.opened = nil
	for _, role := range []string{"rubrica_signer", "rubrica_api", "rubrica_registrar", "rubrica_auditor"} {
		db, err := store.Open(ctx, r.url(role, r.name))
		if err != nil {
			return err
		}
		r.opened = append(r.opened, db)
	}
	r.db, r.api = r.opened[0], r.opened[1]
	r.public, r.desk, r.auditor = store.ForPublic(r.api), store.ForDesk(r.opened[2]), store.ForAuditor(r.opened[3])
	return nil
}

func (r *register) close() {
	for _, db := range r.opened {
		db.Close()
	}
	r.abandon()
}

// backlog is how much waits in each of the desk's queues, in a register of any
// size.
const backlog = 300

// furnish adds what an office has done since it opened, in proportion to the
// register, and what waits there, which is not.
func (r *register) furnish(ctx context.Context) error {
	conn, err := r.connect(ctx, r.name)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	const long = `now() - interval '90 days'`
	for _, sql := range []string{
		`SET session_replication_role = replica`,
		`INSERT INTO officers (id, name, role, office, created_at) VALUES ('rosa', 'Rosa Gil', 'supervisor', 'app', now())`,
		fmt.Sprintf(`
			INSERT INTO letters (id, identifier, recipient, state, requested_at, expires_at, seal_epoch, seal)
			SELECT id, identifier, '{}', CASE WHEN n <= %[1]d THEN 'requested' ELSE 'used' END, %[2]s + n * interval '1 second', now() + interval '60 days', 1, seal
			FROM (SELECT *, row_number() OVER () AS n FROM citizens LIMIT (SELECT %[1]d + count(*) / 10 FROM citizens)) c`, backlog, long),
		fmt.Sprintf(`
			INSERT INTO video_registrations (id, provider, office, identifier, facts, evidence, received_at, state, decided_at)
			SELECT id, 'app', 'app', identifier, '{}', jsonb_build_object('recording', id), %[2]s + n * interval '1 second',
				CASE WHEN n <= %[1]d THEN 'pending' ELSE 'approved' END, CASE WHEN n > %[1]d THEN now() END
			FROM (SELECT *, row_number() OVER () AS n FROM citizens LIMIT (SELECT %[1]d + count(*) / 10 FROM citizens)) c`, backlog, long),
		fmt.Sprintf(`
			INSERT INTO incidents (id, citizen_id, said, opened_at, closed_at, closed_by, outcome)
			SELECT id, id, 'No fui yo', %[2]s + n * interval '1 second',
				CASE WHEN n > %[1]d THEN now() END, CASE WHEN n > %[1]d THEN 'rosa' END, CASE WHEN n > %[1]d THEN 'unfounded' END
			FROM (SELECT *, row_number() OVER () AS n FROM citizens LIMIT (SELECT %[1]d + count(*) / 50 FROM citizens)) c`, backlog, long),
		fmt.Sprintf(`
			INSERT INTO desk_orders (id, office, act, identifier, facts, reason, asked_by, asked_at, state, expires_at, decided_by, decided_at)
			SELECT id, 'app', 'change_phone', identifier, jsonb_build_object('identifiers', jsonb_build_array(identifier)), 'ha perdido el móvil', 'rosa', %[2]s,
				CASE WHEN n <= 20 THEN 'waiting' ELSE 'confirmed' END, now() + interval '1 day',
				CASE WHEN n > 20 THEN 'marcos' END, CASE WHEN n > 20 THEN %[2]s END
			FROM (SELECT *, row_number() OVER () AS n FROM citizens LIMIT (SELECT 20 + count(*) / 50 FROM citizens)) c`, backlog, long),
		`VACUUM (FREEZE, ANALYZE)`,
		`SELECT pg_stat_reset()`,
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("furnishing an office: %w", err)
		}
	}
	return nil
}

// question is something that is asked again and again.
type question struct {
	name string
	ask  func(ctx context.Context, r *register, of resident) error
}

// ask asks about one resident after another.
func (r *register) ask(ctx context.Context, q question) (spent, error) {
	first := mathrand.IntN(len(r.residents)) //nolint:gosec // which, does not matter
	return spend(lookups, func() error {
		for i := range lookups {
			if err := q.ask(ctx, r, r.residents[(first+i)%len(r.residents)]); err != nil {
				return err
			}
		}
		return nil
	})
}

// at least is an error where fewer were found than there are.
func atLeast(want, got int, err error) error {
	if err == nil && got < want {
		err = fmt.Errorf("found %d, want at least %d", got, want)
	}
	return err
}

func questions() []question {
	find := func(q func(of resident) citizen.Question, want int) func(context.Context, *register, resident) error {
		return func(ctx context.Context, r *register, of resident) error {
			found, err := r.desk.Find(ctx, q(of), 21)
			return atLeast(want, len(found), err)
		}
	}
	search := func(filter func(r *register, of resident) audit.Filter) func(context.Context, *register, resident) error {
		return func(ctx context.Context, r *register, of resident) error {
			head, err := r.auditor.LogHead(ctx)
			if err != nil {
				return err
			}
			found, err := r.auditor.Search(ctx, filter(r, of), audit.Stretch{To: head.Size, NewestFirst: true, Limit: 20})
			return atLeast(3, len(found.Records), err)
		}
	}
	return []question{
		{"login", func(ctx context.Context, r *register, of resident) error {
			_, _, err := r.db.CitizenByIdentifier(ctx, of.identifier)
			return err
		}},
		{"login_stranger", func(ctx context.Context, r *register, _ resident) error {
			_, _, err := r.db.CitizenByIdentifier(ctx, "00000000T")
			if !errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
				return fmt.Errorf("reading a stranger: %w", err)
			}
			return nil
		}},
		{"desk_document", find(func(of resident) citizen.Question { return citizen.Question{Identifier: of.identifier} }, 1)},
		{"desk_mobile", find(func(of resident) citizen.Question { return citizen.Question{Phone: of.phone} }, 1)},
		{"desk_name", find(func(resident) citizen.Question { return citizen.Question{Name: "núñez pérez ana"} }, 21)},
		{"desk_frequent_name", find(func(resident) citizen.Question { return citizen.Question{Name: "garcía"} }, 1)},
		{"desk_file", func(ctx context.Context, r *register, of resident) error {
			f, err := r.desk.File(ctx, r.ids[of.identifier], time.Now())
			return atLeast(1, len(f.Past), err)
		}},
		{"desk_counts", func(ctx context.Context, r *register, _ resident) error {
			q, err := r.desk.Queues(ctx, r.app.ID, time.Now())
			return atLeast(backlog, q.Letters, err)
		}},
		{"desk_letters", func(ctx context.Context, r *register, _ resident) error {
			l, err := r.desk.Letters(ctx)
			return atLeast(1, len(l), err)
		}},
		{"desk_videos", func(ctx context.Context, r *register, _ resident) error {
			v, err := r.desk.Videos(ctx, r.app.ID)
			return atLeast(1, len(v), err)
		}},
		{"desk_incidents", func(ctx context.Context, r *register, _ resident) error {
			i, err := r.desk.Incidents(ctx)
			return atLeast(1, len(i), err)
		}},
		{"desk_orders", func(ctx context.Context, r *register, _ resident) error {
			o, err := r.desk.Orders(ctx, r.app.ID, time.Now(), time.Now().Add(-24*time.Hour))
			return atLeast(1, len(o), err)
		}},
		{"my_signatures", func(ctx context.Context, r *register, of resident) error {
			rows, err := r.public.History(ctx, citizen.HistoryQuery{Identifier: of.identifier, Limit: 21})
			return atLeast(1, len(rows), err)
		}},
		{"my_signatures_filtered", func(ctx context.Context, r *register, of resident) error {
			_, err := r.public.History(ctx, citizen.HistoryQuery{
				Identifier: of.identifier, State: signer.Signed, Application: r.app.ID, From: time.Now().AddDate(-1, 0, 0), Limit: 21,
			})
			return err
		}},
		{"my_data", func(ctx context.Context, r *register, of resident) error {
			id := r.ids[of.identifier]
			_, err := r.public.Askers(ctx, of.identifier)
			for _, read := range []func() error{
				func() error { _, err := r.public.Registrations(ctx, id); return err },
				func() error { _, err := r.public.CertificatesOf(ctx, id); return err },
				func() error { _, err := r.public.Incidents(ctx, id); return err },
				func() error { _, err := r.public.Visits(ctx, id); return err },
			} {
				err = errors.Join(err, read())
			}
			return err
		}},
		{"audit_citizen", search(func(_ *register, of resident) audit.Filter { return audit.Filter{Citizen: of.identifier} })},
		{"audit_operation", search(func(r *register, of resident) audit.Filter {
			return audit.Filter{Operation: r.ids[of.identifier]}
		})},
	}
}
