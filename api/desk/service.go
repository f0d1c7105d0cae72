package desk

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"time"
	"unicode/utf8"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// Store is what the desk reads, and where orders and recordings wait. Its role
// can write nothing else of citizens.
type Store interface {
	// Find looks people up, at most so many, by surnames.
	Find(ctx context.Context, q citizen.Question, limit int) ([]citizen.Match, error)
	// File reads what there is of a citizen (policies.CitizenUnknown).
	File(ctx context.Context, citizenID string, now time.Time) (citizen.File, error)
	Queues(ctx context.Context, office string, now time.Time) (citizen.Queues, error)
	Incidents(ctx context.Context) ([]citizen.Case, error)
	Incident(ctx context.Context, id string) (citizen.Case, error) // policies.NotFound
	Letters(ctx context.Context) ([]citizen.Waiting, error)
	orders
	videos
	applications
}

type orders interface {
	AddOrder(ctx context.Context, o citizen.DeskOrder) error
	// Orders are those of an office that wait, or were decided since.
	Orders(ctx context.Context, office string, now, since time.Time) ([]citizen.DeskOrder, error)
	Order(ctx context.Context, office, id string) (citizen.DeskOrder, error) // policies.NotFound
	// TakeOrder begins a turn at an order that is not rejected (policies.DeskTaken).
	TakeOrder(ctx context.Context, t citizen.Turn) error
	// LeaveOrder ends a turn; one that is over is no error.
	LeaveOrder(ctx context.Context, t citizen.Turn) error
	// Decide moves an order that waits and has not expired to its State, in its
	// turn (policies.DeskTaken). Who asked for it cannot confirm it
	// (policies.SecondOfficerNeeded).
	Decide(ctx context.Context, t citizen.Turn, o citizen.DeskOrder) error
	// Conclude writes down what became of one person of a confirmed order, and
	// prolongs the turn (policies.DeskTaken).
	Conclude(ctx context.Context, t citizen.Turn, identifier, outcome string) error
}

type videos interface {
	Videos(ctx context.Context, office string) ([]citizen.Video, error)
	Video(ctx context.Context, office, id string) (citizen.Video, error) // policies.NotFound
	// TakeVideo begins a turn at a recording that is pending (policies.DeskTaken).
	TakeVideo(ctx context.Context, t citizen.Turn) error
	// LeaveVideo ends a turn; one that is over is no error.
	LeaveVideo(ctx context.Context, t citizen.Turn) error
	// DecideVideo moves a recording that is pending to its State, in its turn, and
	// ends that (policies.DeskTaken).
	DecideVideo(ctx context.Context, t citizen.Turn, v citizen.Video) error
	// RegisteredByVideo is who was registered with a recording, zero if nobody was.
	RegisteredByVideo(ctx context.Context, videoID, identifier string) (citizen.VideoOutcome, error)
}

// Recorder writes into the log, through the process that may. The entry is
// durable on return. *rpc.Client fulfils it.
type Recorder interface {
	RecordAudit(ctx context.Context, e audit.Entry) (seq int64, err error)
}

// Register carries out what an office signed. *rpc.Client fulfils it.
type Register interface {
	Perform(ctx context.Context, a citizen.Act) (citizen.Receipt, error)
}

// Pen signs what an office wants done. *citizen.Signatory fulfils it.
type Pen interface {
	// Sign makes an act of the members that an act has beside those of the
	// office and of the moment.
	Sign(wanted any) (citizen.Act, error)
}

// Printer draws letters. *pages.Pages fulfils it.
type Printer interface {
	// Letters gives one PDF of them all.
	Letters(letters []citizen.PrintableLetter) ([]byte, error)
}

// Config names the parts of a Service.
type Config struct {
	Store    Store
	Recorder Recorder
	Register Register
	// Pens are the offices' keys, by client id.
	Pens map[string]Pen
	// Printer is nil where letters are printed elsewhere.
	Printer Printer
	Rules   policies.Rules
	Limits  Limits
	Now     func() time.Time
}

// Limits are the numbers of the desk.
type Limits struct {
	Found     int           // people that a search shows
	OrderLife time.Duration // until a second officer has to confirm
	Decided   time.Duration // how long decided orders stay in the list
	Mass      int           // people of one order
	Turn      time.Duration // that one act may take, with what is written down of it
}

// DefaultLimits are those of an office with several officers.
func DefaultLimits() Limits {
	return Limits{Found: 20, OrderLife: 8 * time.Hour, Decided: 72 * time.Hour, Mass: 500, Turn: time.Minute}
}

// Service is the desk.
type Service struct{ Config }

// New makes a Service.
func New(c Config) *Service { return &Service{c} }

// The roles at a desk. A supervisor confirms what another officer asked for,
// too; an administrator manages accounts and sees no citizen.
const (
	RoleOfficer       = personnel.RoleOfficer
	RoleSupervisor    = personnel.RoleSupervisor
	RoleAdministrator = personnel.RoleAdministrator
)

// turn is one that begins now.
func (s *Service) turn(subject string) citizen.Turn {
	now := s.Now()
	return citizen.Turn{Subject: subject, Holder: rand.Text(), Now: now, Until: now.Add(s.Limits.Turn)}
}

// Officer is who is at the desk.
type Officer = personnel.Identity

// signature is how statements name an officer: readable, and nobody else's.
func signature(o Officer) string {
	name := []rune(o.Name)
	return string(name[:min(len(name), 60)]) + " (" + o.ID + ")"
}

// Asking is who asks, and why.
type Asking struct {
	Officer Officer
	// Reason is why, in the officer's words.
	Reason string
}

// Lengths of a reason, in characters.
const (
	shortestReason = 5
	longestReason  = 200
)

// Reason reads why somebody asks (policies.ReasonMissing).
func Reason(text string) (string, error) {
	text = policies.Line(text)
	if utf8.RuneCountInString(text) < shortestReason || !policies.IsLine(text, longestReason) {
		return "", policies.Refuse(policies.ReasonMissing)
	}
	return text, nil
}

// What beside a reason an act has to be told in the officer's words.
const (
	OfCertificate = "certificate" // the document that certifies a death
	OfOutcome     = "outcome"     // what became of an incident
)

// Told reads one of them (policies.ReasonMissing, whose "reason" says which).
func Told(what, text string) (string, error) {
	text, err := Reason(text)
	if err != nil {
		return "", policies.Refuse(policies.ReasonMissing, "reason", what)
	}
	return text, nil
}

// admit says whether somebody may ask at all.
func (a *Asking) admit() (err error) {
	switch a.Officer.Role {
	case RoleOfficer, RoleSupervisor:
		a.Reason, err = Reason(a.Reason)
		return err
	default:
		return policies.Refuse(policies.RoleMissing, "role", RoleOfficer)
	}
}

// subject is whom an entry is about.
type subject struct {
	operation string // id of the citizen; empty for the officer's own
	person    string
}

// record writes down what is asked, before it is answered.
func (s *Service) record(ctx context.Context, a Asking, kind audit.EventType, about subject, facts map[string]any) error {
	payload := map[string]any{
		"officer": a.Officer.ID, "name": a.Officer.Name, "role": a.Officer.Role, "by": a.Officer.By, "office": a.Officer.Office, "reason": a.Reason,
	}
	maps.Copy(payload, facts)
	operation := about.operation
	if operation == "" {
		operation = a.Officer.ID
	}
	if _, err := s.Recorder.RecordAudit(ctx, audit.Entry{Type: kind, Operation: operation, At: s.Now(), Person: about.person, Payload: payload}); err != nil {
		return fmt.Errorf("recording what an officer asked: %w", err)
	}
	return nil
}

// looked records a look at a list or a thing of it.
func (s *Service) looked(ctx context.Context, a Asking, at string, facts ...string) error {
	payload := map[string]any{"looked": at}
	for i := 0; i+1 < len(facts); i += 2 {
		payload[facts[i]] = facts[i+1]
	}
	return s.record(ctx, a, audit.DeskLookedUp, subject{}, payload)
}
