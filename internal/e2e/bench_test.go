package e2e

import (
	"context"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

// BenchmarkIdentify measures what an attacker with a stop watch sees: a wrong
// password and a citizen who does not exist, in turn. The medians are a report,
// not a test: a busy machine would fail it.
func BenchmarkIdentify(b *testing.B) {
	known, err := shared.world.NewCitizen()
	if err != nil {
		b.Fatal(err)
	}
	for _, step := range []func(context.Context) error{known.Register, known.Activate} {
		if err := step(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	nobody, err := shared.world.NewCitizen()
	if err != nil {
		b.Fatal(err)
	}
	r, err := shared.world.Ask(b.Context(), known, "Solicitud", client.NewDocument{
		Name: "nota.txt", MediaType: "text/plain", Format: "cades-detached", Content: new([]byte("Nota.\n")),
	})
	if err != nil {
		b.Fatal(err)
	}
	conn, err := pgx.Connect(b.Context(), shared.checker.Database)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(b.Context())) }()
	took := map[string][]time.Duration{}
	for b.Loop() {
		for name, identifier := range map[string]string{"wrong": known.Identifier, "unknown": nobody.Identifier} {
			// Five tries would lock the password.
			if _, err := conn.Exec(b.Context(), `DELETE FROM attempts`); err != nil {
				b.Fatal(err)
			}
			began := time.Now()
			post(b.Context(), b, r.SigningURL, url.Values{"identifier": {identifier}, "password": {"Equivocada-7x"}})
			took[name] = append(took[name], time.Since(began))
		}
	}
	for name, all := range took {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, name+"-median-ms")
	}
}
