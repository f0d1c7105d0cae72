package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ceremony"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

// CAStatusCommand looks at the hierarchy. It needs no token; with one, it
// compares keys with certificates.
type CAStatusCommand struct {
	JSON bool `name:"json" help:"Print the report as JSON."`
}

// errProblems is the end of a status that found something.
var errProblems = errors.New("somebody has something to do: see Problems")

// Run prints the report.
func (c *CAStatusCommand) Run(ctx context.Context, all *CACommand) error {
	report, err := c.inspect(ctx, all)
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = drawReport(os.Stdout, report)
	}
	if err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	if len(report.Problems) > 0 {
		return errProblems
	}
	return nil
}

func (c *CAStatusCommand) inspect(ctx context.Context, all *CACommand) (ceremony.Report, error) {
	room := &caRoom{settings: all, pins: &caPINs{}}
	defer room.close()
	var err error
	if all.PKCS11Module != "" && all.PINFile != "" {
		if room.pins, err = all.readPINs(); err != nil {
			return ceremony.Report{}, err
		}
		if err := all.service().actAsOwner(); err != nil {
			return ceremony.Report{}, err
		}
		if room.token, err = openToken(all.service(), room.pins.service); err != nil {
			return ceremony.Report{}, err
		}
	}
	if room.db, err = openDatabase(ctx, all.Database); err != nil {
		return ceremony.Report{}, err
	}
	i := ceremony.Inspection{CitizenYears: policies.DefaultRules().CertificateYears, Now: time.Now()}
	if i.Hierarchy, err = room.db.Hierarchy(ctx); err != nil {
		return ceremony.Report{}, fmt.Errorf("reading the hierarchy: %w", err)
	}
	if i.Lists, err = listStates(ctx, room.db, i.Now); err != nil {
		return ceremony.Report{}, err
	}
	if room.token != nil {
		i.Service = room.token
		if i.Root, err = room.rootIfThere(ctx); err != nil {
			return ceremony.Report{}, err
		}
	}
	return i.Inspect(ctx)
}

// rootIfThere is the root's token, nil if it is where it belongs: away.
func (r *caRoom) rootIfThere(ctx context.Context) (ceremony.Token, error) {
	if r.settings.oneToken() || len(r.pins.root) == 0 {
		return nil, nil
	}
	token, err := r.root(ctx)
	if err != nil && !errors.Is(err, hsm.ErrNoToken) {
		return nil, err
	}
	return token, nil
}

// listStates are the lists that somebody may still ask for.
func listStates(ctx context.Context, db *store.DB, now time.Time) ([]ceremony.ListState, error) {
	shards, err := db.Shards(ctx, now)
	if err != nil {
		return nil, fmt.Errorf("reading the revocation lists: %w", err)
	}
	states := []ceremony.ListState{{Shard: string(ca.RoleRoot), Issuer: string(ca.RoleRoot)}}
	for _, s := range shards {
		if s.Ends.IsZero() || now.Before(s.Ends) {
			states = append(states, ceremony.ListState{Shard: s.Name, Issuer: s.Issuer, EndsAt: s.Ends})
		}
	}
	for i := range states {
		if err := readList(ctx, db, &states[i]); err != nil {
			return nil, fmt.Errorf("reading the revocation list %s: %w", states[i].Shard, err)
		}
	}
	return states, nil
}

// readList adds what the newest list says, if there is one.
func readList(ctx context.Context, db *store.DB, state *ceremony.ListState) error {
	list, err := store.ForPublic(db).RevocationList(ctx, state.Shard)
	if refusal, ok := errors.AsType[*policies.Refusal](err); ok && refusal.Code == policies.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	parsed, err := x509.ParseRevocationList(list.DER)
	if err != nil {
		return err
	}
	state.Number, state.Entries = list.Number, len(parsed.RevokedCertificateEntries)
	state.ThisUpdate, state.NextUpdate = parsed.ThisUpdate, parsed.NextUpdate
	return nil
}

// drawReport draws the hierarchy as a tree, with what is to be done below it.
func drawReport(out io.Writer, r ceremony.Report) error {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	if len(r.Members) > 0 {
		_, _ = fmt.Fprintln(table, "member\tname\tserial\talgorithm\ttoken\tkey\tvalid\tdays left\t")
		drawBranch(table, r.Members, "root", "", "")
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(r.Lists) > 0 {
		fmt.Fprintln(out)
		_, _ = fmt.Fprintln(table, "list\tnumber\trevoked\tnext update\t")
		for _, l := range r.Lists {
			next := "-"
			if l.Number > 0 {
				next = l.NextUpdate.UTC().Format(time.DateTime)
			}
			_, _ = fmt.Fprintf(table, "%s.crl\t%d\t%d\t%s\t\n", l.Shard, l.Number, l.Entries, next)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	for _, part := range []struct {
		title string
		lines []string
	}{{"Problems", r.Problems}, {"Notes", r.Notes}} {
		if len(part.lines) > 0 {
			fmt.Fprintf(out, "\n%s\n  - %s\n", part.title, strings.Join(part.lines, "\n  - "))
		}
	}
	return nil
}

// drawBranch draws a member and those below it. first and rest are what stands
// before its own line, and before the lines of its children.
func drawBranch(out io.Writer, members []ceremony.MemberState, name, first, rest string) {
	var children []string
	for _, m := range members {
		switch {
		case m.Name == name:
			fmt.Fprintf(out, "%s%s%s\t%s\t%s\t%s\t%s\t%s\t%s – %s\t%d\t\n", first, m.Name, mark(m), m.Subject, m.Serial, m.Algorithm,
				m.Token, m.Key, m.NotBefore.Format(time.DateOnly), m.NotAfter.Format(time.DateOnly), m.DaysLeft)
		case m.Issuer == name:
			children = append(children, m.Name)
		}
	}
	for i, child := range children {
		if i == len(children)-1 {
			drawBranch(out, members, child, rest+"└─ ", rest+"   ")
			continue
		}
		drawBranch(out, members, child, rest+"├─ ", rest+"│  ")
	}
}

func mark(m ceremony.MemberState) string {
	switch {
	case !m.RevokedAt.IsZero():
		return " (revoked)"
	case !m.RetiredAt.IsZero():
		return " (retired)"
	default:
		return ""
	}
}
