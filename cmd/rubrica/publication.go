package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/ca/ceremony"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/ca/online"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/signer/rpc"
	"github.com/rubrica-firma/rubrica/store"
)

// LogSettings name the signature log.
type LogSettings struct {
	// LogOrigin is taken once, by the first checkpoint; a log that has a name
	// keeps it.
	LogOrigin string `name:"log-origin" help:"Name of the signature log, without a scheme; the host of public-url and /log if none is given."`
}

func (s LogSettings) origin(public PublicSettings) (string, error) {
	if s.LogOrigin != "" {
		return s.LogOrigin, nil
	}
	u, err := url.Parse(public.PublicURL)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("public-url %q is no address", public.PublicURL)
	}
	return u.Host + "/log", nil
}

// WatchSettings say what is known of the log outside the database.
type WatchSettings struct {
	// WitnessPolicy names the witnesses and how many of them are enough. Their log
	// lines are for others: this log's own key is in the token.
	WitnessPolicy string `name:"witness-policy" help:"Witnesses of the signature log (C2SP tlog-policy)." type:"existingfile" placeholder:"FILE"`
	// LogState is on another disk than the database, if there is one.
	LogState string `name:"log-state" help:"File for the last checkpoint that was signed, outside the database: one that was put back is known by it." type:"path" placeholder:"FILE"`
	// WitnessTimeout bounds each witness.
	WitnessTimeout time.Duration `name:"witness-timeout" help:"How long a witness may take." default:"10s"`
}

func (s WatchSettings) policy() (audit.Policy, error) { return readWitnesses(s.WitnessPolicy) }

// readWitnesses reads a policy; without a file nobody is asked.
func readWitnesses(file string) (audit.Policy, error) {
	if file == "" {
		return audit.Policy{}, nil
	}
	return readPolicy(file)
}

// watch holds the log against witnesses and state file.
func (s WatchSettings) watch(db *store.DB, policy audit.Policy, origin string, key crypto.PublicKey) (*publication.Watch, error) {
	named, err := publication.PublicKey(key)
	if err != nil {
		return nil, err
	}
	return &publication.Watch{
		Store: db, Policy: policy, State: publication.OpenState(s.LogState), Origin: origin, Key: named,
		Client: http.DefaultClient, Timeout: s.WitnessTimeout,
	}, nil
}

// PublicationSettings say how the signature log is published.
type PublicationSettings struct {
	LogSettings
	WatchSettings

	// Unwitnessed is for who has no witness and knows what that means: whoever has
	// the database and the log's key can rewrite the log unseen.
	Unwitnessed        bool          `help:"Publish the signature log without any witness."`
	CheckpointInterval time.Duration `name:"checkpoint-interval" help:"Time between two checkpoints of the signature log." default:"2s"`
	LogTSA             string        `name:"log-tsa" help:"Time-stamping authority of checkpoints: an address (RFC 3161), or \"own\"." default:"own"`
	// LogTSATrust and LogTSANetworks are EvidenceSettings' for that authority.
	LogTSATrust    []string       `name:"log-tsa-trust" help:"Its root certificates, PEM or DER." type:"existingfile" placeholder:"FILE"`
	LogTSANetworks []netip.Prefix `name:"log-tsa-network" help:"Networks that are not public and where it may be, such as 10.1.0.0/16."`
}

// errNoWitness is a log that nobody watches, without having been asked for.
var errNoWitness = errors.New("witness-policy: it names who watches the signature log; without a witness whoever has the database and the log's key can rewrite the log unseen (unwitnessed = true accepts that)")

// check refuses a log that nobody watches, unless that was said.
func (s PublicationSettings) check(mode string) error {
	if s.WitnessPolicy == "" && !s.Unwitnessed && mode != "development" {
		return refused([]error{errNoWitness})
	}
	if s.CheckpointInterval <= 0 || s.WitnessTimeout <= 0 {
		return errors.New("checkpoint-interval and witness-timeout must be more than nothing")
	}
	return nil
}

// checkpointKey is the log's key in the token.
func checkpointKey(ctx context.Context, token *hsm.Token) (crypto.Signer, error) {
	key, err := token.ServiceKey(ctx, ceremony.CheckpointKey)
	if err != nil {
		return nil, fmt.Errorf("finding the key of the log's checkpoints (in a deployment of an older version `rubrica ca init` makes it): %w", err)
	}
	return key, nil
}

// publishing is the log as the signer publishes and guards it.
type publishing struct {
	guard *publication.Guard
	watch *publication.Watch
	key   crypto.Signer
}

// publication makes the guard, who is asked before anything is signed or appended.
func (c *SignerCommand) publication(ctx context.Context, db *store.DB, token *hsm.Token, logger *slog.Logger) (*publishing, error) {
	key, err := checkpointKey(ctx, token)
	if err != nil {
		return nil, err
	}
	origin, err := c.origin(c.PublicSettings)
	if err != nil {
		return nil, err
	}
	policy, err := c.policy()
	if err != nil {
		return nil, err
	}
	watch, err := c.watch(db, policy, origin, key.Public())
	if err != nil {
		return nil, err
	}
	if c.LogState == "" {
		logger.WarnContext(ctx, "log_state_missing", "consequence", "what this process signs is on record in the database and with witnesses only: set log-state")
	}
	guard := publication.NewGuard(publication.GuardConfig{
		Watch: watch, Record: db, Every: time.Minute, Retry: 2 * time.Second, Now: time.Now, Logger: logger,
	})
	db.Admit = guard.Admit
	return &publishing{guard: guard, watch: watch, key: key}, nil
}

func (c *SignerCommand) publisher(db *store.DB, p *publishing, authority *online.CA, logger *slog.Logger) (*publication.Publisher, error) {
	stamper, err := c.stamper(db, authority, logger)
	if err != nil {
		return nil, err
	}
	return publication.New(publication.Config{
		Store: db, Gate: p.guard, Key: p.key, Origin: p.watch.Origin, Policy: p.watch.Policy, State: p.watch.State, Stamper: stamper,
		Client: p.watch.Client, Interval: c.CheckpointInterval, Timeout: c.WitnessTimeout, Refresh: time.Hour,
		Now: time.Now, Logger: logger,
	})
}

// stamper asks the own authority or one outside, and believes neither unseen.
func (s PublicationSettings) stamper(db *store.DB, own augment.Authority, logger *slog.Logger) (augment.Stamper, error) {
	evidence := EvidenceSettings{TSA: []string{s.LogTSA}, TSATrust: s.LogTSATrust, EvidenceNetworks: s.LogTSANetworks, TSATimeout: augment.Patience}
	trust, err := evidence.trust(store.ForPublic(db), s.LogTSATrust)
	if err != nil {
		return nil, err
	}
	source := augment.Source{Name: s.LogTSA, Authority: own}
	if s.LogTSA != ownTSA {
		web, err := evidence.web()
		if err != nil {
			return nil, fmt.Errorf("log-tsa: %w", err)
		}
		source.Authority = web.Authority(s.LogTSA)
	}
	return augment.NewStamps(augment.StampsConfig{Sources: []augment.Source{source}, Trust: trust, Now: time.Now, Logger: logger})
}

// guardedValidation answers what anybody may ask of the authority while the
// guard is open: of a log that is not the right one it is not known who was
// revoked.
type guardedValidation struct {
	rpc.Validation

	guard *publication.Guard
}

// OCSP implements rpc.Validation.
func (v guardedValidation) OCSP(ctx context.Context, request []byte) (ocsp.Answer, error) {
	if err := v.guard.Check(); err != nil {
		return ocsp.Answer{}, err
	}
	return v.Validation.OCSP(ctx, request)
}

// TimeStamp implements rpc.Validation.
func (v guardedValidation) TimeStamp(ctx context.Context, query []byte) ([]byte, error) {
	if err := v.guard.Check(); err != nil {
		return nil, err
	}
	return v.Validation.TimeStamp(ctx, query)
}
