package rpc

import (
	"context"

	"connectrpc.com/connect"

	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1"
)

// SignHashes implements signer.Module.
func (c *Client) SignHashes(ctx context.Context, order signer.HashOrder) error {
	m := &signerv1.SignHashesRequest{Sad: order.SAD.Encode(), Scheme: string(order.Scheme)}
	for _, around := range order.Around {
		a := around.Attributes
		m.Around = append(m.Around, &signerv1.Around{
			Format: string(around.Format), Digest: around.Digest,
			MimeType: a.MimeType, Commitment: a.Commitment, Country: a.Country, Locality: a.Locality, Policy: a.Policy,
		})
	}
	_, err := c.module.SignHashes(ctx, connect.NewRequest(m))
	return decode(err)
}

func (s *moduleServer) SignHashes(ctx context.Context, r *connect.Request[signerv1.SignHashesRequest]) (*connect.Response[signerv1.SignResponse], error) {
	sad, err := signer.ParseSAD(r.Msg.GetSad())
	if err != nil {
		return nil, err
	}
	order := signer.HashOrder{SAD: sad, Scheme: cms.Scheme(r.Msg.GetScheme())}
	for _, m := range r.Msg.GetAround() {
		order.Around = append(order.Around, signer.Around{
			Format: signer.Format(m.GetFormat()), Digest: m.GetDigest(),
			Attributes: signer.Attributes{
				MimeType: m.GetMimeType(), Commitment: m.GetCommitment(), Country: m.GetCountry(), Locality: m.GetLocality(), Policy: m.GetPolicy(),
			},
		})
	}
	if err := s.module.SignHashes(ctx, order); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.SignResponse{}), nil
}
