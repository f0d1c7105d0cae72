package desk

import (
	"context"
	"encoding/hex"
	"encoding/json/v2"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

type applications interface {
	// Applications lists all clients, Application reads one
	// (policies.ApplicationUnknown).
	Applications(ctx context.Context) ([]signer.RegisteredClient, error)
	Application(ctx context.Context, id string) (signer.RegisteredClient, error)
}

// supervise admits supervisors alone.
func (a *Asking) supervise() error {
	if err := a.admit(); err != nil {
		return err
	}
	if a.Officer.Role != RoleSupervisor {
		return policies.Refuse(policies.RoleMissing, "role", RoleSupervisor)
	}
	return nil
}

// Applications are the applications and offices that the deployment knows.
func (s *Service) Applications(ctx context.Context, a Asking) ([]signer.RegisteredClient, error) {
	if err := a.supervise(); err != nil {
		return nil, err
	}
	if err := s.looked(ctx, a, "applications"); err != nil {
		return nil, err
	}
	return s.Store.Applications(ctx)
}

// Application opens one.
func (s *Service) Application(ctx context.Context, a Asking, id string) (signer.RegisteredClient, error) {
	if err := a.supervise(); err != nil {
		return signer.RegisteredClient{}, err
	}
	r, err := s.Store.Application(ctx, id)
	if err != nil {
		return r, err
	}
	return r, s.looked(ctx, a, "application", "subject", id)
}

// changeLimit is the length in bytes of a change, so that what the office signs
// keeps within citizen.ActLimit.
const changeLimit = 4800

// ChangeApplication has a change made, or an application registered. What cannot
// be read of it is refused as policies.QueryInvalid, with the reason.
func (s *Service) ChangeApplication(ctx context.Context, a Asking, c citizen.ApplicationChange) error {
	if err := a.supervise(); err != nil {
		return err
	}
	if text, err := json.Marshal(c); err != nil || len(text) > changeLimit {
		return policies.Refuse(policies.QueryInvalid, "reason", "application_long")
	}
	c.By = a.Officer.ID
	wanted := statement{Act: citizen.ActChangeApplication, Officer: signature(a.Officer), Application: &c, Reason: a.Reason}
	_, err := s.perform(ctx, a, wanted, about{subject: c.Application})
	return err
}

// GiveSecret is ChangeApplication where the application gets a secret. It is drawn
// here and returned this once: the statement and whoever reads it have the hash.
func (s *Service) GiveSecret(ctx context.Context, a Asking, c citizen.ApplicationChange) (citizen.Secret, error) {
	secret, hash := citizen.DrawSecret()
	c.SecretSHA256 = hex.EncodeToString(hash)
	if err := s.ChangeApplication(ctx, a, c); err != nil {
		return citizen.Secret{}, err
	}
	return secret, nil
}
