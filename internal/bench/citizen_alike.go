package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// samples is how often each door is tried in a round about each kind of person.
const samples = 60

// hurdle is a door that asks who somebody is, tried with secrets that are wrong.
// What it answers, and nothing, may be of any kind but a failure.
type hurdle struct {
	name string
	try  func(ctx context.Context, who citizen.Identifier) error
}

// suspect is somebody of a kind whom a stranger may ask about.
type suspect struct {
	kind string
	who  citizen.Identifier
}

// alike measures at each door how much longer the answer about one kind of people
// takes than about another: strangers, people who are registered, locked out,
// deregistered. The page of a forgotten password asks about nobody.
func (c *Citizen) alike(ctx context.Context, s *server) ([]Figure, error) {
	t, err := s.found(ctx, "alike", cheap())
	if err != nil {
		return nil, err
	}
	defer t.abandon()
	suspects, err := t.suspects(ctx)
	if err != nil {
		return nil, err
	}
	hurdles, settle, err := t.hurdles(ctx, suspects)
	if err != nil {
		return nil, err
	}
	var figures []Figure
	for _, h := range hurdles {
		took := make([][]float64, len(suspects))
		for n := range samples*c.Rounds + len(suspects) {
			for turn := range suspects {
				at := (turn + n) % len(suspects)
				began := time.Now()
				err := h.try(ctx, suspects[at].who)
				spent := time.Since(began)
				settle() // what is sent is sent after the answer
				if _, ok := errors.AsType[*policies.Refusal](err); err != nil && !ok {
					return nil, fmt.Errorf("trying %s about somebody %s: %w", h.name, suspects[at].kind, err)
				}
				if n >= len(suspects) { // the first ones warm plans
					took[at] = append(took[at], 1000*spent.Seconds())
				}
			}
		}
		name, least, most := "citizen/alike_"+h.name, median(took[0]), median(took[0])
		for i, all := range took {
			least, most = min(least, median(all)), max(most, median(all))
			figures = append(figures, info(name+"_"+suspects[i].kind, median(all), "ms"))
		}
		figures = append(figures, below(name, most/least, 1.15, "ratio"))
	}
	return figures, nil
}

func (t *town) suspects(ctx context.Context) ([]suspect, error) {
	out := []suspect{{kind: "stranger"}, {kind: "known"}, {kind: "locked"}, {kind: "deregistered"}}
	for i := range out {
		r := t.number()
		if out[i].kind != "stranger" {
			t.people-- // the same again
			if _, err := t.activate(ctx); err != nil {
				return nil, err
			}
		}
		var err error
		if out[i].who, err = citizen.ParseIdentifier(r.identifier); err != nil {
			return nil, fmt.Errorf("reading a DNI: %w", err)
		}
	}
	for range signer.DefaultLimits().Password.Tries { // from where the citizen has come from: it locks
		_, err := t.module.Identify(ctx, signer.Identification{Identifier: out[2].who.String(), Password: []byte("Equivocada-1"), RemoteAddr: home})
		if err == nil {
			return nil, errors.New("a wrong password is taken")
		}
	}
	if err := t.register.Deregister(ctx, out[3].who, citizen.Order{Reason: "prueba"}); err != nil {
		return nil, fmt.Errorf("deregistering: %w", err)
	}
	return out, nil
}

// hurdles are the services behind the doors, which count every try and refuse
// none for being one too many: otherwise nothing would be compared.
func (t *town) hurdles(ctx context.Context, suspects []suspect) (all []hurdle, settle func(), err error) {
	epochs, err := t.db.Epochs(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the keys' epochs: %w", err)
	}
	const endless = 1 << 30
	const away = "203.0.113.7"
	quota := citizen.Quota{Here: endless, Person: endless, Address: endless, Service: endless}
	quiet := slog.New(slog.DiscardHandler)
	vault := signer.NewVault(signer.VaultConfig{Keys: t.keys.Token, Epochs: epochs, Cost: cheap(), Parallel: parallel, Queue: 1 << 10})
	people := signer.People{Rows: t.db, Vault: vault, Now: time.Now, Logger: quiet}
	limits := signer.DefaultLimits()
	limits.Password.Tries, limits.Password.Hard = endless, endless
	module := signer.New(signer.Config{
		Store: t.db, Keys: t.keys.Token, Vault: vault, Courier: t.phone, Rules: policies.DefaultRules(), Limits: limits,
		KeyAlgorithm: hsm.RSA3072, Now: time.Now, Logger: quiet,
	})
	register := citizen.New(citizen.Config{
		Store: t.db, People: people, Codes: module, Vault: vault, Now: time.Now,
		Limits: citizen.Limits{ActivationTries: endless, TicketLife: time.Minute},
	})
	pins := &citizen.Pins{
		Store: t.db, People: people, Checks: vault, Gate: module, Post: nowhere{}, Now: time.Now, Logger: quiet,
		// A shorter step than people wait for, to have more of them.
		Limits: citizen.PINLimits{Life: time.Minute, Tries: endless, PerHour: endless, Step: 20 * time.Millisecond, Quota: quota},
	}
	cards := &citizen.Cards{
		Store: t.db, People: people, Vault: vault, Gate: module, Post: nowhere{}, Locale: "es", Now: time.Now, Logger: quiet,
		Limits: citizen.CardLimits{Tries: endless, Keys: quota, Codes: quota},
	}
	letters := &citizen.Letters{
		Store: t.db, People: people, Vault: vault, Now: time.Now, Limits: citizen.LetterLimits{Tries: endless, Codes: quota},
	}
	w, err := wrongSecrets()
	if err != nil {
		return nil, nil, err
	}
	number := func(who citizen.Identifier) (citizen.CardNumber, error) {
		return citizen.ParseCardNumber(who.String()[:8])
	}
	for _, s := range suspects {
		if s.kind == "stranger" {
			continue // to the town's cards, too
		}
		n, err := number(s.who)
		if err == nil {
			err = cards.Import(ctx, citizen.NewCard{Number: n, Identifier: s.who, Email: w.email, PIN: w.rightPIN})
		}
		if err != nil {
			return nil, nil, fmt.Errorf("importing a card: %w", err)
		}
	}
	settle = func() {
		pins.Wait()
		cards.Wait()
	}
	return []hurdle{
		{"password", func(ctx context.Context, who citizen.Identifier) error {
			_, err := module.Identify(ctx, signer.Identification{Identifier: who.String(), Password: []byte("Equivocada-1"), RemoteAddr: away, Access: true})
			return err
		}},
		{"pin", func(ctx context.Context, who citizen.Identifier) error {
			_, err := pins.Ask(ctx, citizen.PINOrder{Identifier: who, DocumentUntil: w.until, AccessKey: w.access, RemoteAddr: away})
			return err
		}},
		{"card", func(ctx context.Context, who citizen.Identifier) error {
			n, err := number(who)
			if err != nil {
				return err
			}
			_, err = cards.Identify(ctx, citizen.CardAnswer{Number: n, PIN: w.cardPIN, Key: w.key, RemoteAddr: away})
			return err
		}},
		{"card_key", func(ctx context.Context, who citizen.Identifier) error {
			n, err := number(who)
			if err != nil {
				return err
			}
			return cards.AskKey(ctx, citizen.KeyOrder{Number: n, PIN: w.cardPIN, RemoteAddr: away})
		}},
		{"activation", func(ctx context.Context, who citizen.Identifier) error {
			_, _, err := register.StartActivation(ctx, citizen.Claim{Identifier: who, Email: w.email, Code: w.activation, RemoteAddr: away})
			return err
		}},
		{"letter", func(ctx context.Context, who citizen.Identifier) error {
			_, err := letters.Answer(ctx, citizen.LetterAnswer{Identifier: who, DocumentUntil: w.until, Code: w.letter, RemoteAddr: away})
			return err
		}},
	}, settle, nil
}

// wrong is what is typed at the doors.
type wrong struct {
	until             time.Time
	access            citizen.AccessKey
	rightPIN, cardPIN citizen.CardPIN
	key               citizen.OperationsKey
	email             citizen.Email
	activation        citizen.ActivationCode
	letter            citizen.LetterCode
}

func wrongSecrets() (wrong, error) {
	var (
		w    wrong
		errs [7]error
	)
	w.until, errs[0] = citizen.ParseDocumentDate(time.Now().AddDate(5, 0, 0).Format("02/01/2006"))
	w.access, errs[1] = citizen.ParseAccessKey("ab12")
	w.rightPIN, errs[2] = citizen.ParseCardPIN("2580")
	w.cardPIN, errs[3] = citizen.ParseCardPIN("1111")
	w.key, errs[4] = citizen.ParseOperationsKey("ABCD-EFGH-JKLM")
	w.email, errs[5] = citizen.ParseEmail("ana@example.es")
	w.activation = citizen.NewActivationCode()
	w.letter, errs[6] = citizen.ParseLetterCode(citizen.NewActivationCode().Print())
	return w, errors.Join(errs[:]...)
}

// nowhere is where messages go that nobody reads.
type nowhere struct{}

// Mail implements citizen.Post.
func (nowhere) Mail(context.Context, citizen.SecretMail) error { return nil }

// Text implements citizen.Post.
func (nowhere) Text(context.Context, citizen.SecretText) error { return nil }
