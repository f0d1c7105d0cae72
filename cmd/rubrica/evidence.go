package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/api/verification"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/signer/rpc"
	"github.com/rubrica-firma/rubrica/store"
)

// ownTSA names the deployment's time-stamping authority among those outside.
const ownTSA = "own"

// EvidenceSettings say where time-stamps and validation data come from.
type EvidenceSettings struct {
	// TSA are asked in this order, until one gives a stamp that is right.
	TSA []string `name:"tsa" help:"Time-stamping authorities in the order in which they are asked: addresses (RFC 3161), or \"own\"." default:"own"`
	// TSATrust is whom to trust besides the deployment's own root.
	TSATrust []string `name:"tsa-trust" help:"Root certificates of outside time-stamping authorities, PEM or DER." type:"existingfile" placeholder:"FILE"`
	// EvidenceHosts are whom addresses in their certificates may lead to.
	EvidenceHosts []string `name:"evidence-host" help:"Hosts that outside authorities' certificates, revocation lists and OCSP answers may be fetched from."`
	// EvidenceNetworks are for authorities that are not on the Internet.
	EvidenceNetworks []netip.Prefix `name:"evidence-network" help:"Networks that are not public and where those hosts and authorities may be, such as 10.1.0.0/16."`
	// VerifyTrust is whose signatures are validated besides the deployment's own.
	VerifyTrust []string `name:"verify-trust" help:"Root certificates of outside authorities whose signatures POST /v1/verify believes, PEM or DER." type:"existingfile" placeholder:"FILE"`
	// TSATimeout bounds each authority.
	TSATimeout time.Duration `name:"tsa-timeout" help:"How long one of them may take." default:"3s"`
}

// evidence is what lifts signatures to higher levels, what it asks, and whom it
// trusts.
type evidence struct {
	augmenter *augment.Augmenter
	collector *augment.Collector
	trust     augment.Trust
}

func (c EvidenceSettings) evidence(public store.Public, client *rpc.Client, base string, logger *slog.Logger) (evidence, error) {
	trust, err := c.trust(public, c.TSATrust)
	if err != nil {
		return evidence{}, err
	}
	web, err := c.web()
	if err != nil {
		return evidence{}, err
	}
	stamps := augment.StampsConfig{Trust: trust, Timeout: c.TSATimeout, Now: time.Now, Logger: logger}
	for _, address := range c.TSA {
		source := augment.Source{Name: address, Authority: client}
		if address != ownTSA {
			source.Authority = web.Authority(address)
		}
		stamps.Sources = append(stamps.Sources, source)
	}
	stamper, err := augment.NewStamps(stamps)
	if err != nil {
		return evidence{}, err
	}
	own := augment.Own{Bases: []string{base}, Published: public, Responder: client}
	collector, err := augment.NewCollector(augment.CollectorConfig{
		Trust: trust, Libraries: []augment.Library{own, web}, Now: time.Now,
	})
	if err != nil {
		return evidence{}, err
	}
	augmenter, err := augment.New(augment.Config{Stamper: stamper, Evidence: collector, Trust: trust, Now: time.Now})
	return evidence{augmenter: augmenter, collector: collector, trust: trust}, err
}

// verifications wires what validates the documents that others send.
func (c EvidenceSettings) verifications(public store.Public, worker *documents.Worker, authorities *augment.Collector, logger *slog.Logger) (*verification.Service, error) {
	trust, err := c.trust(public, append(slices.Clip(c.TSATrust), c.VerifyTrust...))
	if err != nil {
		return nil, err
	}
	return verification.New(verification.Config{Worker: worker, Authorities: authorities, Trust: trust, Logger: logger, Now: time.Now}), nil
}

// web reaches the outside authorities, and nobody else.
func (c EvidenceSettings) web() (*augment.Web, error) {
	hosts := c.EvidenceHosts
	for _, address := range c.TSA {
		if address == ownTSA {
			continue
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("tsa: %q is no address of a time-stamping authority, nor %q", address, ownTSA)
		}
		hosts = append(hosts, u.Host)
	}
	return augment.NewWeb(augment.WebConfig{Hosts: hosts, Networks: c.EvidenceNetworks, Timeout: c.TSATimeout})
}

// trust is the deployment's roots, read each time since ceremonies add some, and
// those that were named.
func (c EvidenceSettings) trust(public store.Public, files []string) (augment.Trust, error) {
	var named []*x509.Certificate
	if len(files) > 0 {
		found, err := readEvidence(files)
		if err != nil {
			return nil, err
		}
		named = found.Certificates
	}
	return func(ctx context.Context) ([]*x509.Certificate, error) {
		hierarchy, err := public.Hierarchy(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the hierarchy: %w", err)
		}
		anchors := slices.Clip(named)
		for _, m := range hierarchy {
			if m.Role != ca.RoleRoot {
				continue
			}
			root, err := x509.ParseCertificate(m.DER)
			if err != nil {
				return nil, fmt.Errorf("reading the root %s: %w", m.Name, err)
			}
			anchors = append(anchors, root)
		}
		return anchors, nil
	}, nil
}
