package desk

import (
	"context"
	"errors"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Videos are the recordings that wait for the officer's office.
func (s *Service) Videos(ctx context.Context, a Asking) ([]citizen.Video, error) {
	if err := a.admit(); err != nil {
		return nil, err
	}
	if err := s.looked(ctx, a, "videos"); err != nil {
		return nil, err
	}
	return s.Store.Videos(ctx, a.Officer.Office)
}

// Video opens one (policies.NotFound).
func (s *Service) Video(ctx context.Context, a Asking, id string) (citizen.Video, error) {
	if err := a.admit(); err != nil {
		return citizen.Video{}, err
	}
	v, err := s.Store.Video(ctx, a.Officer.Office, id)
	if err != nil {
		return v, err
	}
	return v, s.record(ctx, a, audit.DeskLookedUp, subject{person: v.Person.Identifier}, map[string]any{"looked": "video", "subject": id})
}

// Approve registers the person of a recording, with the recording as evidence.
// Of several officers, one does (policies.DeskTaken). A refusal leaves the
// recording where it is. What was interrupted after the registration is gone on
// with by approving again: the receipt then has another activation code, because
// nobody was shown the first.
func (s *Service) Approve(ctx context.Context, a Asking, id string) (citizen.Video, citizen.Receipt, error) {
	ctx = context.WithoutCancel(ctx)
	var receipt citizen.Receipt
	v, err := s.settle(ctx, a, id, func(v *citizen.Video) (err error) {
		if err := s.decided(ctx, a, *v, "confirmed"); err != nil {
			return err
		}
		v.State = citizen.VideoApproved
		receipt, err = s.registerBy(ctx, a, *v)
		return err
	})
	return v, receipt, err
}

// registerBy registers the person of a recording, or goes on from where that
// was interrupted.
func (s *Service) registerBy(ctx context.Context, a Asking, v citizen.Video) (citizen.Receipt, error) {
	done, err := s.Store.RegisteredByVideo(ctx, v.ID, v.Person.Identifier)
	switch {
	case err != nil:
		return citizen.Receipt{}, err
	case done.CitizenID == "":
		return s.perform(ctx, a, statement{
			Act: citizen.ActRegister, Officer: signature(a.Officer), Citizen: (*Person)(&v.Person), Mode: string(policies.ModeVideo), Evidence: evidence(v),
		}, about{subject: v.ID})
	case done.Status != signer.Registered: // and has got hold of a code since
		return citizen.Receipt{CitizenID: done.CitizenID, RegisteredAt: done.RegisteredAt}, nil
	}
	receipt, err := s.perform(ctx, a, statement{
		Act: citizen.ActRenewActivation, Officer: signature(a.Officer), Identifier: v.Person.Identifier,
	}, about{citizenID: done.CitizenID, subject: v.ID})
	receipt.CitizenID, receipt.RegisteredAt = done.CitizenID, done.RegisteredAt
	return receipt, err
}

// RejectVideo ends a recording that proves nothing; why, the provider may be told.
func (s *Service) RejectVideo(ctx context.Context, a Asking, id string) error {
	_, err := s.settle(ctx, a, id, func(v *citizen.Video) error {
		v.State, v.Reason = citizen.VideoRejected, a.Reason
		return s.decided(ctx, a, *v, "rejected")
	})
	return err
}

// settle has one officer at a time decide about a recording that is pending.
func (s *Service) settle(ctx context.Context, a Asking, id string, decide func(*citizen.Video) error) (citizen.Video, error) {
	v, err := s.pending(ctx, a, id)
	if err != nil {
		return v, err
	}
	t := s.turn(id)
	if err := s.Store.TakeVideo(ctx, t); err != nil {
		return v, err
	}
	settled := v
	if err := decide(&settled); err != nil {
		return v, errors.Join(err, s.Store.LeaveVideo(ctx, t))
	}
	settled.DecidedBy, settled.DecidedAt = a.Officer.ID, s.Now()
	return settled, s.Store.DecideVideo(ctx, t, settled)
}

func (s *Service) pending(ctx context.Context, a Asking, id string) (citizen.Video, error) {
	if err := a.admit(); err != nil {
		return citizen.Video{}, err
	}
	v, err := s.Store.Video(ctx, a.Officer.Office, id)
	if err == nil && v.State != citizen.VideoPending {
		err = policies.Refuse(policies.DeskTaken)
	}
	return v, err
}

func (s *Service) decided(ctx context.Context, a Asking, v citizen.Video, decision string) error {
	return s.record(ctx, a, audit.DeskDecided, subject{person: v.Person.Identifier}, map[string]any{
		"decision": decision, "of": "video", "subject": v.ID, "act": string(citizen.ActRegister),
	})
}

// evidence is what the registration keeps of a recording.
func evidence(v citizen.Video) map[string]string {
	e := map[string]string{
		"provider": v.Provider, "video": v.ID, "recording": v.Evidence.Recording, "recording_sha256": v.Evidence.SHA256,
		"recorded_at": v.Evidence.RecordedAt.UTC().Format(time.RFC3339), "received_at": v.ReceivedAt.UTC().Format(time.RFC3339),
	}
	return e
}
