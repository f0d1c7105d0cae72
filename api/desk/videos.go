package desk

import (
	"context"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
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
// A refusal leaves the recording where it is.
func (s *Service) Approve(ctx context.Context, a Asking, id string) (citizen.Video, citizen.Receipt, error) {
	v, err := s.pending(ctx, a, id)
	if err != nil {
		return v, citizen.Receipt{}, err
	}
	if err := s.decided(ctx, a, v, "confirmed"); err != nil {
		return v, citizen.Receipt{}, err
	}
	wanted := statement{
		Act: citizen.ActRegister, Officer: signature(a.Officer), Citizen: (*Person)(&v.Person), Mode: string(policies.ModeVideo), Evidence: evidence(v),
	}
	receipt, err := s.perform(ctx, a, wanted, about{subject: v.ID})
	if err != nil {
		return v, receipt, err
	}
	v.State, v.DecidedBy, v.DecidedAt = citizen.VideoApproved, a.Officer.ID, s.Now()
	return v, receipt, s.Store.DecideVideo(context.WithoutCancel(ctx), v)
}

// RejectVideo ends a recording that proves nothing; why, the provider may be told.
func (s *Service) RejectVideo(ctx context.Context, a Asking, id string) error {
	v, err := s.pending(ctx, a, id)
	if err != nil {
		return err
	}
	if err := s.decided(ctx, a, v, "rejected"); err != nil {
		return err
	}
	v.State, v.DecidedBy, v.DecidedAt, v.Reason = citizen.VideoRejected, a.Officer.ID, s.Now(), a.Reason
	return s.Store.DecideVideo(ctx, v)
}

func (s *Service) pending(ctx context.Context, a Asking, id string) (citizen.Video, error) {
	if err := a.admit(); err != nil {
		return citizen.Video{}, err
	}
	v, err := s.Store.Video(ctx, a.Officer.Office, id)
	if err == nil && v.State != citizen.VideoPending {
		err = policies.Refuse(policies.RequestState, "state", string(v.State))
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
