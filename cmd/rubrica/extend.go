package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// ExtendCommand brings the signatures of a document to a higher level, or renews
// an archive whose last time-stamp ends soon. Its exit status is 0 if the level
// is reached, 2 if only a lower one was, which is written all the same, and 1 if
// nothing was.
type ExtendCommand struct {
	File  string `arg:"" help:"PDF, or CMS signature (.p7s, .csig)." type:"existingfile"`
	Level string `help:"Level to be reached." enum:"B-T,B-LT,B-LTA" default:"B-LTA"`
	// Output must not be there yet.
	Output string `short:"o" help:"File to be written." required:"" type:"path"`
	// Content is read as it is, octet by octet.
	Content string `help:"What a detached signature is of." type:"existingfile" placeholder:"FILE"`
	// Trust is the root of this deployment if none is given: the one that
	// rubrica up has made.
	Trust []string `help:"Trust anchors, certificates in PEM or DER; var/ca/root.pem if none are given." type:"existingfile" placeholder:"FILE"`
	// TSA are asked in this order, until one gives a stamp that is right.
	TSA []string `name:"tsa" help:"Addresses of time-stamping authorities (RFC 3161); the deployment's if none are given." placeholder:"URL"`
	// PublicURL is where the deployment's own authority stamps.
	PublicURL string `name:"public-url" help:"Address of the deployment, whose time-stamping authority is asked if no other is named."`
	// Hosts are whom the addresses in certificates may lead to, besides those of
	// the time-stamping authorities. Nobody else is asked.
	Hosts []string `name:"host" help:"Hosts that issuers' certificates, revocation lists and OCSP answers may be fetched from."`
	// Networks are for hosts that are not on the Internet.
	Networks []netip.Prefix `name:"network" help:"Networks that are not public and where those hosts may be, such as 10.1.0.0/16."`
	Timeout  time.Duration  `help:"How long one of them may take." default:"5s"`
	// AcceptOlder is for authorities that answer with lists alone: else the next
	// one has to be waited for.
	AcceptOlder bool `help:"Accept revocation data made before the signature."`
	// RenewBefore is how long before its end an archive is renewed.
	RenewBefore time.Duration `help:"How long before the end of its last time-stamp an archive is renewed." default:"4368h"`
}

// Run extends and says what was reached.
func (c *ExtendCommand) Run(ctx context.Context) error { return c.extend(ctx, os.Stdout) }

func (c *ExtendCommand) extend(ctx context.Context, out io.Writer) error {
	anchors, err := readTrust(c.Trust)
	if err != nil {
		return err
	}
	augmenter, err := c.augmenter(anchors)
	if err != nil {
		return err
	}
	file, size, err := openSized(c.File)
	if err != nil {
		return fmt.Errorf("opening the document: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	pdf, err := isPDF(file)
	if err != nil {
		return err
	}
	in := document{Augmenter: augmenter, file: file, size: size, anchors: anchors, want: cades.Level(c.Level)}
	lift := in.cms
	if pdf {
		lift = in.pdf
	}
	reached, write, err := lift(ctx, c.content)
	if reached == "" || reached == cades.BB || errors.Is(err, augment.ErrInvalid) {
		return fmt.Errorf("extending %s: %w", filepath.Base(c.File), err)
	}
	if writeErr := c.write(write); writeErr != nil {
		return errors.Join(writeErr, err)
	}
	fmt.Fprintf(out, "%s: %s\n", c.Output, reached)
	if err != nil {
		return lowerLevelError{reached: reached, err: err}
	}
	return nil
}

// augmenter wires what a file needs.
func (c *ExtendCommand) augmenter(anchors []*x509.Certificate) (*augment.Augmenter, error) {
	authorities := c.TSA
	if len(authorities) == 0 {
		if c.PublicURL == "" {
			return nil, errors.New("no time-stamping authority: name one with --tsa, or the deployment with --public-url")
		}
		base, err := PublicSettings{PublicURL: c.PublicURL}.plainURL()
		if err != nil {
			return nil, err
		}
		authorities = []string{base + "/tsa"}
	}
	hosts := c.Hosts
	for _, address := range authorities {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("%q is no address of a time-stamping authority", address)
		}
		hosts = append(hosts, u.Host)
	}
	web, err := augment.NewWeb(augment.WebConfig{Hosts: hosts, Networks: c.Networks, Timeout: c.Timeout})
	if err != nil {
		return nil, err
	}
	trust := func(context.Context) ([]*x509.Certificate, error) { return anchors, nil }
	stamps := augment.StampsConfig{Trust: trust, Timeout: c.Timeout, Now: time.Now, Logger: slog.Default()}
	for _, address := range authorities {
		stamps.Sources = append(stamps.Sources, augment.Source{Name: address, Authority: web.Authority(address)})
	}
	stamper, err := augment.NewStamps(stamps)
	if err != nil {
		return nil, err
	}
	collector, err := augment.NewCollector(augment.CollectorConfig{
		Trust: trust, Libraries: []augment.Library{web}, AcceptOlder: c.AcceptOlder, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	return augment.New(augment.Config{Stamper: stamper, Evidence: collector, Trust: trust, Renew: c.RenewBefore, Now: time.Now})
}

func (c *ExtendCommand) content() (io.Reader, error) {
	if c.Content == "" {
		return nil, errors.New("the signature is detached: name what it is of with --content")
	}
	// It is read at once or in parts, and the process ends soon.
	content, err := os.Open(c.Content)
	if err != nil {
		return nil, fmt.Errorf("opening the content: %w", err)
	}
	return content, nil
}

// write makes the output, whole or not at all.
func (c *ExtendCommand) write(content func(io.Writer) error) error {
	file, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	if err := errors.Join(content(file), file.Close()); err != nil {
		return fmt.Errorf("writing: %w", errors.Join(err, os.Remove(c.Output)))
	}
	return nil
}

// document is a file at work.
type document struct {
	*augment.Augmenter

	file    *os.File
	size    int64
	anchors []*x509.Certificate
	want    cades.Level
}

func (d document) pdf(ctx context.Context, _ func() (io.Reader, error)) (cades.Level, func(io.Writer) error, error) {
	doc, err := augment.OpenLocal(d.file, d.size, d.anchors...)
	if err != nil {
		return "", nil, err
	}
	reached, err := d.PDF(ctx, doc, d.want)
	return reached, func(w io.Writer) error {
		_, err := io.Copy(w, doc.Reader())
		return err
	}, err
}

// cms lifts every signer; what is reached is what all have.
func (d document) cms(ctx context.Context, content func() (io.Reader, error)) (cades.Level, func(io.Writer) error, error) {
	m, err := cms.Open(d.file, d.size)
	if err != nil {
		return "", nil, err
	}
	least := cades.BLTA
	var problems []error
	for i := range m.Signers {
		reached, err := d.CMS(ctx, m, i, content, d.want)
		if err != nil {
			problems = append(problems, fmt.Errorf("signer %d: %w", i+1, err))
		}
		if least.AtLeast(reached) {
			least = reached
		}
	}
	return least, m.Write, errors.Join(problems...)
}

// lowerLevelError carries the exit status of a document that was extended, but
// not as far as was asked for.
type lowerLevelError struct {
	reached cades.Level
	err     error
}

func (e lowerLevelError) Error() string {
	return fmt.Sprintf("no more than %s was reached: %v", e.reached, e.err)
}

func (e lowerLevelError) Unwrap() error { return e.err }

// ExitCode is documented with ExtendCommand.
func (e lowerLevelError) ExitCode() int { return 2 }
