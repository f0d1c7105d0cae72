package bench

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/pkcs11"
	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/hsm"
)

// Pool holds what the service asks of its token against a bare loop over the
// same module, with keys of its own that it destroys afterwards. Its ratios are
// of time, bare to ours: 1 would be no cost at all.
type Pool struct {
	Config hsm.Config
	// Rounds is, by ten, how many pairs of turns a figure is the median of.
	Rounds int
}

// Measure implements House.
func (p *Pool) Measure(ctx context.Context) ([]Figure, error) {
	var figures []Figure
	for _, kind := range []struct {
		algorithm, name string
		turn            int // operations, enough for a tenth of a second
	}{{hsm.RSA3072, "rsa3072", 96}, {hsm.P256, "p256", 2400}} {
		for _, sessions := range []int{1, 2, 8} {
			c, err := p.compare(ctx, kind.algorithm, sessions, kind.turn, (*pair).pooled)
			if err != nil {
				return nil, err
			}
			figures = append(figures, above(fmt.Sprintf("keys/pool_%s_%d", kind.name, sessions), c.ratio, 0.95))
		}
	}
	sealed, err := p.compare(ctx, hsm.RSA3072, 1, 64, (*pair).sealed)
	if err != nil {
		return nil, err
	}
	return append(figures, above("keys/sealed_over_bare", sealed.ratio, 0.90)), nil
}

// compare makes keys and lets both sides of an operation with them take turns.
func (p *Pool) compare(
	ctx context.Context, algorithm string, sessions, turn int, operations func(*pair, context.Context) (ours, theirs func() error),
) (_ contest, err error) {
	config := p.Config
	config.Sessions = sessions
	k, err := newBenchKeys(ctx, config, algorithm)
	if err != nil {
		return contest{}, fmt.Errorf("preparing keys: %w", err)
	}
	defer func() { err = errors.Join(err, k.close(ctx)) }()
	return p.contest(ctx, k, config, turn, operations)
}

// contest lets both sides of an operation with these keys take turns, in as many
// sessions as there are.
func (p *Pool) contest(
	ctx context.Context, k *benchKeys, config hsm.Config, turn int, operations func(*pair, context.Context) (ours, theirs func() error),
) (contest, error) {
	var sides [2][]func() error
	for range config.Sessions {
		one, err := k.pair(config)
		if err != nil {
			return contest{}, fmt.Errorf("opening a bare session: %w", err)
		}
		defer one.module.CloseSession(one.session) //nolint:errcheck // it has served
		ours, theirs := operations(one, ctx)
		sides[0], sides[1] = append(sides[0], ours), append(sides[1], theirs)
	}
	return turns(10*p.Rounds, max(1, turn/config.Sessions), sides)
}

// contest is what came of two sides that took turns.
type contest struct {
	ratio float64    // of time, theirs to ours
	rate  [2]float64 // operations a second, ours and theirs
}

// turns lets both sides take turns, so that whatever else the machine does
// falls on both alike. In each, a side's workers do so many operations.
func turns(rounds, times int, sides [2][]func() error) (contest, error) {
	var ratios []float64
	var rates [2][]float64
	for round := range rounds + 1 {
		var took [2]float64
		for i := range sides {
			side := (round + i) % 2
			var err error
			if took[side], err = together(sides[side], times); err != nil {
				return contest{}, err
			}
		}
		if round == 0 { // warms up
			continue
		}
		ratios = append(ratios, took[1]/took[0])
		for side := range rates {
			rates[side] = append(rates[side], float64(times*len(sides[side]))/took[side])
		}
	}
	return contest{ratio: median(ratios), rate: [2]float64{median(rates[0]), median(rates[1])}}, nil
}

// together lets workers run side by side, each repeating its operation.
func together(workers []func() error, times int) (float64, error) {
	var group errgroup.Group
	began := time.Now()
	for _, work := range workers {
		group.Go(func() error {
			for range times {
				if err := work(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	return time.Since(began).Seconds(), err
}

// benchKeys are a key-encryption key, a service key and, where it is needed, a
// citizen's key.
type benchKeys struct {
	token        *hsm.Token
	algorithm    string
	kek, service string
	signer       crypto.Signer
	public       crypto.PublicKey
	blob         []byte
}

func newBenchKeys(ctx context.Context, config hsm.Config, algorithm string) (*benchKeys, error) {
	token, err := hsm.Open(config)
	if err != nil {
		return nil, err
	}
	name := rand.Text()
	k := &benchKeys{token: token, algorithm: algorithm, kek: "bench-kek-" + name, service: "bench-service-" + name}
	if err = token.CreateKEK(ctx, k.kek); err == nil {
		k.signer, err = token.CreateServiceKey(ctx, k.service, algorithm)
	}
	if err != nil {
		return nil, errors.Join(err, k.close(ctx))
	}
	return k, nil
}

func (k *benchKeys) close(ctx context.Context) error {
	var errs []error
	for _, label := range []string{k.kek, k.service} {
		if err := k.token.Destroy(context.WithoutCancel(ctx), label); !errors.Is(err, hsm.ErrNoKey) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, k.token.Close())...)
}

// pair is one session's work on both sides. The bare one has mechanism, template
// and data ready made.
type pair struct {
	*benchKeys

	digest    [sha256.Size]byte
	module    *pkcs11.Ctx
	session   pkcs11.SessionHandle
	mechanism []*pkcs11.Mechanism
	wrapping  []*pkcs11.Mechanism
	template  []*pkcs11.Attribute
	data      []byte
}

func (k *benchKeys) pair(config hsm.Config) (*pair, error) {
	p := &pair{benchKeys: k, digest: sha256.Sum256([]byte("statement")), module: pkcs11.New(config.Module)}
	slot, err := slotOf(p.module, config.TokenLabel)
	if err != nil {
		return nil, err
	}
	if p.session, err = p.module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION); err != nil {
		return nil, err
	}
	wrap, keyType := config.WrapMechanism, uint(pkcs11.CKK_EC)
	if wrap == 0 {
		wrap = pkcs11.CKM_AES_KEY_WRAP_PAD
	}
	p.wrapping = []*pkcs11.Mechanism{pkcs11.NewMechanism(wrap, nil)}
	p.mechanism, p.data = []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil)}, p.digest[:]
	if k.algorithm == hsm.RSA3072 {
		keyType = pkcs11.CKK_RSA
		p.mechanism = []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil)}
		// DigestInfo of SHA-256: RFC 8017, section 9.2, note 1.
		p.data = append([]byte("\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"), p.digest[:]...)
	}
	p.template = []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, keyType)}
	for kind, value := range map[uint]bool{
		pkcs11.CKA_TOKEN: false, pkcs11.CKA_PRIVATE: true, pkcs11.CKA_SENSITIVE: true, pkcs11.CKA_EXTRACTABLE: false,
		pkcs11.CKA_COPYABLE: false, pkcs11.CKA_SIGN: true, pkcs11.CKA_DECRYPT: false, pkcs11.CKA_UNWRAP: false, pkcs11.CKA_DERIVE: false,
	} {
		p.template = append(p.template, pkcs11.NewAttribute(kind, value))
	}
	return p, nil
}

// pooled is one signature of a service key.
func (p *pair) pooled(context.Context) (ours, theirs func() error) {
	key, err := p.find(pkcs11.CKO_PRIVATE_KEY, p.service)
	return func() error { _, err := p.signer.Sign(nil, p.digest[:], crypto.SHA256); return err },
		func() error { return errors.Join(err, p.sign(key)) }
}

// sealed is one signature of a citizen's key, unwrapped for it.
func (p *pair) sealed(ctx context.Context) (ours, theirs func() error) {
	kek, failed := p.find(pkcs11.CKO_SECRET_KEY, p.kek)
	if p.blob == nil && failed == nil {
		p.public, p.blob, failed = p.token.GenerateWrapped(ctx, p.kek, p.algorithm)
	}
	use := func(signer crypto.Signer) error { _, err := signer.Sign(nil, p.digest[:], crypto.SHA256); return err }
	return func() error { return p.token.WithWrapped(ctx, p.kek, p.algorithm, p.public, p.blob, use) },
		func() error {
			if failed != nil {
				return failed
			}
			key, err := p.module.UnwrapKey(p.session, p.wrapping, kek, p.blob, p.template)
			if err != nil {
				return err
			}
			return errors.Join(p.sign(key), p.module.DestroyObject(p.session, key))
		}
}

func (p *pair) sign(key pkcs11.ObjectHandle) error {
	if err := p.module.SignInit(p.session, p.mechanism, key); err != nil {
		return err
	}
	_, err := p.module.Sign(p.session, p.data)
	return err
}

func (p *pair) find(class uint, label string) (pkcs11.ObjectHandle, error) {
	if err := p.module.FindObjectsInit(p.session, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, class), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
	}); err != nil {
		return 0, err
	}
	found, _, err := p.module.FindObjects(p.session, 1)
	if err := errors.Join(err, p.module.FindObjectsFinal(p.session)); err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, fmt.Errorf("the token does not show %q", label)
	}
	return found[0], nil
}

// slotOf finds a token by its label.
func slotOf(module *pkcs11.Ctx, label string) (uint, error) {
	slots, err := module.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("listing the slots: %w", err)
	}
	for _, slot := range slots {
		if info, err := module.GetTokenInfo(slot); err == nil && info.Label == label {
			return slot, nil
		}
	}
	return 0, fmt.Errorf("%w: %q", hsm.ErrNoToken, label)
}
