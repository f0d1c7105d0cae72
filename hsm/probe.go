package hsm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/pkcs11"
)

// Report is what a token can do for Rúbrica, found out by trying.
type Report struct {
	Library  string `json:"library"`
	Token    string `json:"token"`
	Serial   string `json:"serial"`
	Firmware string `json:"firmware"`
	// FreeSessions is how many more sessions the token offers; -1: it does not say.
	FreeSessions int     `json:"free_sessions"`
	Checks       []Check `json:"checks"`
	// Sealed and Kept say whether the token can carry that keeper, and else why
	// not.
	Sealed Verdict `json:"sealed"`
	Kept   Verdict `json:"token_keeper"`
	// Checkpoints says whether the token can hold the key of the log.
	Checkpoints Verdict `json:"checkpoints"`
	// WrapMechanism is the one to configure for the sealed keeper; 0: none.
	WrapMechanism uint `json:"wrap_mechanism,omitempty"`
}

// Check is one thing that was tried.
type Check struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Verdict is yes, or no and why.
type Verdict struct {
	OK  bool   `json:"ok"`
	Why string `json:"why,omitempty"`
}

// kwp is CKM_AES_KEY_WRAP_KWP of PKCS#11 3.0, RFC 5649 by its proper name.
const kwp = 0x210B

// Probe opens the token and tries everything that the service would ask of it,
// with keys of its own, which it destroys. It fails only where the token cannot
// be opened; what the token cannot do stands in the report.
func Probe(ctx context.Context, c Config) (Report, error) {
	c.Sessions = 1
	t, err := Open(c)
	if err != nil {
		return Report{}, err
	}
	p := &probe{Token: t, label: "rubrica-probe-" + rand.Text()}
	p.describe()
	p.keepers(ctx)
	p.report.Checkpoints = verdict(p.try(Ed25519+" as service key, signatures verified", func() error { return p.checkpoint(ctx) }))
	if err := errors.Join(p.clean(ctx), t.Close()); err != nil {
		return p.report, fmt.Errorf("destroying the keys of the probe: %w", err)
	}
	return p.report, nil
}

type probe struct {
	*Token

	label  string
	labels []string // what was created
	report Report
}

func (p *probe) describe() {
	if info, err := p.module.GetInfo(); err == nil {
		p.report.Library = fmt.Sprintf("%s %s %d.%d", info.ManufacturerID, info.LibraryDescription, info.LibraryVersion.Major, info.LibraryVersion.Minor)
	}
	info, err := p.module.GetTokenInfo(p.slot)
	if err != nil {
		return
	}
	p.report.Token = fmt.Sprintf("%s (%s %s)", info.Label, info.ManufacturerID, info.Model)
	p.report.Serial = info.SerialNumber
	p.report.Firmware = fmt.Sprintf("%d.%d", info.FirmwareVersion.Major, info.FirmwareVersion.Minor)
	p.report.FreeSessions = -1
	// CK_UNAVAILABLE_INFORMATION is all ones, CK_EFFECTIVELY_INFINITE is 0.
	if most := info.MaxRwSessionCount; most != 0 && most < 1<<31 && info.RwSessionCount < 1<<31 {
		p.report.FreeSessions = int(most - min(most, info.RwSessionCount))
	}
}

// try notes what came of a check.
func (p *probe) try(name string, do func() error) error {
	err := do()
	check := Check{Name: name, OK: err == nil}
	if err != nil {
		check.Error = err.Error()
	}
	p.report.Checks = append(p.report.Checks, check)
	return err
}

// fresh is a label of the probe's own, to be destroyed at its end.
func (p *probe) fresh(what string) string {
	label := p.label + "-" + what
	p.labels = append(p.labels, label)
	return label
}

func (p *probe) clean(ctx context.Context) error {
	var errs []error
	for _, label := range p.labels {
		if err := p.Destroy(context.WithoutCancel(ctx), label); !errors.Is(err, ErrNoKey) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// keepers tries what both keepers need, then what each does.
func (p *probe) keepers(ctx context.Context) {
	pepper := p.try("HMAC-SHA-256 under a secret that cannot be extracted", func() error { return p.pepper(ctx) })
	algorithms := []string{RSA3072, P256, P384}
	var kept error
	for _, a := range algorithms {
		err := p.try(a+" as token object, signatures verified", func() error { return p.token(ctx, a) })
		if a == RSA3072 {
			kept = err
		}
	}
	refused := []error{pepper}
	for _, mechanism := range []uint{pkcs11.CKM_AES_KEY_WRAP_PAD, kwp} {
		err := p.wraps(ctx, mechanism, algorithms)
		if err == nil && p.report.WrapMechanism == 0 {
			p.report.WrapMechanism = mechanism
		}
		refused = append(refused, err)
	}
	if p.report.WrapMechanism != 0 {
		refused = []error{pepper}
	}
	// For the record only: RFC 3394 has no padding, and the length of an encoded
	// key, which is a multiple of eight one time, is none the next.
	_ = p.wraps(ctx, pkcs11.CKM_AES_KEY_WRAP, algorithms)
	p.report.Sealed, p.report.Kept = verdict(refused...), verdict(pepper, kept)
}

// wraps tries the sealed keeper with one mechanism, as far as it gets.
func (p *probe) wraps(ctx context.Context, mechanism uint, algorithms []string) error {
	p.wrap = mechanism
	name := fmt.Sprintf("wrapping with %#x: ", mechanism)
	kek := p.fresh(fmt.Sprintf("kek-%x", mechanism))
	if err := p.try(name+"a KEK with CKA_UNWRAP_TEMPLATE", func() error { return p.CreateKEK(ctx, kek) }); err != nil {
		return err
	}
	errs := []error{p.try(name+"deterministic", func() error { return p.deterministic(ctx, kek) })}
	for _, a := range algorithms {
		errs = append(errs, p.try(name+a+" out, in again, signing, destroyed", func() error { return p.sealed(ctx, kek, a) }))
	}
	errs = append(errs, p.try(name+"CKA_UNWRAP_TEMPLATE enforced", func() error { return p.enforced(ctx, kek) }))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%#x: %w", mechanism, err)
	}
	return nil
}

func verdict(needs ...error) Verdict {
	if err := errors.Join(needs...); err != nil {
		return Verdict{Why: strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	return Verdict{OK: true}
}

func (p *probe) pepper(ctx context.Context) error {
	label := p.fresh("pepper")
	if err := p.CreatePepper(ctx, label); err != nil {
		return err
	}
	first, err := p.MAC(ctx, label, []byte("probe"))
	if err != nil {
		return err
	}
	second, err := p.MAC(ctx, label, []byte("probe"))
	if err == nil && !bytes.Equal(first, second) {
		return errors.New("the same data has two codes")
	}
	return err
}

// token tries a key of the token keeper, and that its object outlives sessions.
func (p *probe) token(ctx context.Context, algorithm string) error {
	label := p.fresh(algorithm)
	public, err := p.CreateTokenKey(ctx, label, algorithm)
	if err != nil {
		return err
	}
	// Whatever was only the session's goes with it.
	if err := p.do(ctx, func(s *session) error { p.discard(s); return nil }); err != nil {
		return err
	}
	p.handles.clear()
	return p.WithTokenKey(ctx, label, algorithm, public, p.signs)
}

// checkpoint tries a service key as the log's is.
func (p *probe) checkpoint(ctx context.Context) error {
	signer, err := p.CreateServiceKey(ctx, p.fresh(Ed25519), Ed25519)
	if err != nil {
		return err
	}
	return p.signs(signer)
}

// sealed tries a key of the sealed keeper.
func (p *probe) sealed(ctx context.Context, kek, algorithm string) error {
	public, blob, err := p.GenerateWrapped(ctx, kek, algorithm)
	if err != nil {
		return err
	}
	if err := p.WithWrapped(ctx, kek, algorithm, public, blob, p.signs); err != nil {
		return err
	}
	return p.do(ctx, func(s *session) error { // that C_DestroyObject did it
		handle, err := p.unwrapLawful(s, kek, algorithm, blob)
		if err != nil {
			return err
		}
		if err := p.module.DestroyObject(s.handle, handle); err != nil {
			return fmt.Errorf("destroying a session object: %w", err)
		}
		if _, err := p.attributes(s, handle, pkcs11.CKA_KEY_TYPE); err == nil {
			return errors.New("a destroyed session object is still there")
		}
		return nil
	})
}

func (p *probe) unwrapLawful(s *session, kek, algorithm string, blob []byte) (pkcs11.ObjectHandle, error) {
	a, err := parseAlgorithm(algorithm)
	if err != nil {
		return 0, err
	}
	return p.unwrap(s, kek, a, blob)
}

// deterministic tries what CheckValue rests on.
func (p *probe) deterministic(ctx context.Context, kek string) error {
	first, err := p.CheckValue(ctx, kek)
	if err != nil {
		return err
	}
	second, err := p.CheckValue(ctx, kek)
	if err == nil && !bytes.Equal(first, second) {
		return errors.New("the same key is wrapped in two ways")
	}
	return err
}

// enforced tries to get a citizen's key out, as an intruder with the PIN would.
func (p *probe) enforced(ctx context.Context, kek string) error {
	_, blob, err := p.GenerateWrapped(ctx, kek, P256)
	if err != nil {
		return err
	}
	for name, forbidden := range map[string]*pkcs11.Attribute{
		"extractable": flag(pkcs11.CKA_EXTRACTABLE, true), "not sensitive": flag(pkcs11.CKA_SENSITIVE, false),
		"able to decrypt": flag(pkcs11.CKA_DECRYPT, true),
	} {
		err := p.do(ctx, func(s *session) error {
			key, err := p.resolve(s, secretKey(kek))
			if err != nil {
				return err
			}
			template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_EC), forbidden}
			for _, a := range unwrapRule() {
				if a.Type != forbidden.Type {
					template = append(template, a)
				}
			}
			handle, err := p.module.UnwrapKey(s.handle, p.wrapping(), key, blob, template)
			if err != nil {
				return nil //nolint:nilerr // the refusal is what is wanted
			}
			p.destroy(s, handle)
			return fmt.Errorf("the token unwraps a key as %s", name)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// signs tries every way to sign, and verifies.
func (p *probe) signs(signer crypto.Signer) error {
	digest := make([]byte, crypto.SHA256.Size())
	ways := []crypto.SignerOpts{crypto.SHA256}
	switch signer.Public().(type) {
	case *rsa.PublicKey:
		ways = append(ways, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	case ed25519.PublicKey:
		ways = []crypto.SignerOpts{crypto.Hash(0)}
	}
	for _, opts := range ways {
		signature, err := signer.Sign(nil, digest, opts)
		if err != nil {
			return fmt.Errorf("%T: %w", opts, err)
		}
		if !verifies(signer.Public(), digest, signature, opts) {
			return fmt.Errorf("%T: the signature does not verify", opts)
		}
	}
	return nil
}

func verifies(public crypto.PublicKey, digest, signature []byte, opts crypto.SignerOpts) bool {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if pss, isPSS := opts.(*rsa.PSSOptions); isPSS {
			return rsa.VerifyPSS(key, crypto.SHA256, digest, signature, pss) == nil
		}
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	case ed25519.PublicKey:
		return ed25519.Verify(key, digest, signature)
	default:
		return false
	}
}
