package hsm_test

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
)

// bare is a client of the same module without any of our care: one session, one
// service key, one wrapped key, its mechanism and its data ready made.
type bare struct {
	module    *pkcs11.Ctx
	session   pkcs11.SessionHandle
	mechanism []*pkcs11.Mechanism
	data      []byte
	private   pkcs11.ObjectHandle
	kek       pkcs11.ObjectHandle
	blob      []byte
	template  []*pkcs11.Attribute
}

func (c bare) sign(key pkcs11.ObjectHandle) error {
	if err := c.module.SignInit(c.session, c.mechanism, key); err != nil {
		return err
	}
	_, err := c.module.Sign(c.session, c.data)
	return err
}

func (c bare) unwrapSignDestroy() error {
	wrap := []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_WRAP_PAD, nil)}
	key, err := c.module.UnwrapKey(c.session, wrap, c.kek, c.blob, c.template)
	if err != nil {
		return err
	}
	if err := c.sign(key); err != nil {
		return err
	}
	return c.module.DestroyObject(c.session, key)
}

// BenchmarkPool compares C_Sign through a service key with a bare loop over the
// same key. "ratio" is ours to bare: 1 would be no cost at all.
func BenchmarkPool(b *testing.B) {
	digest := sha256.Sum256([]byte("statement"))
	compareAll(b, 16, func(f fixture, c bare) (ours, theirs func() error) {
		return func() error { _, err := f.service.Sign(nil, digest[:], crypto.SHA256); return err },
			func() error { return c.sign(c.private) }
	})
}

// BenchmarkWrapped compares a citizen's signature with bare C_UnwrapKey, C_Sign
// and C_DestroyObject.
func BenchmarkWrapped(b *testing.B) {
	digest := sha256.Sum256([]byte("statement"))
	sign := func(signer crypto.Signer) error { _, err := signer.Sign(nil, digest[:], crypto.SHA256); return err }
	compareAll(b, 16, func(f fixture, c bare) (ours, theirs func() error) {
		return func() error { return f.token.WithWrapped(b.Context(), "kek", f.algorithm, f.public, f.blob, sign) },
			c.unwrapSignDestroy
	})
}

// BenchmarkBatch compares a hundred signatures under one unwrapping with a
// hundred bare C_Sign.
func BenchmarkBatch(b *testing.B) {
	digest := sha256.Sum256([]byte("statement"))
	compareAll(b, 1, func(f fixture, c bare) (ours, theirs func() error) {
		batch := func(signer crypto.Signer) error {
			return hundred(func() error { _, err := signer.Sign(nil, digest[:], crypto.SHA256); return err })
		}
		return func() error { return f.token.WithWrapped(b.Context(), "kek", f.algorithm, f.public, f.blob, batch) },
			func() error { return hundred(func() error { return c.sign(c.private) }) }
	})
}

func hundred(do func() error) error {
	for range 100 {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// fixture is a Token with a service key and a citizen's key of one algorithm.
type fixture struct {
	token     *hsm.Token
	algorithm string
	service   crypto.Signer
	public    crypto.PublicKey
	blob      []byte
}

// compareAll compares for each algorithm and number of sessions, in one run, with
// so many operations per worker and turn.
func compareAll(b *testing.B, times int, operations func(fixture, bare) (ours, theirs func() error)) {
	b.Helper()
	for _, algorithm := range []string{hsm.RSA3072, hsm.P256} {
		for _, sessions := range []int{1, 2, 8} {
			b.Run(fmt.Sprintf("%s/sessions=%d", algorithm, sessions), func(b *testing.B) {
				config := hsmtest.Config(b)
				config.Sessions = sessions
				f := newFixture(b, config, algorithm)
				var ours, theirs []func() error
				for range sessions {
					our, their := operations(f, newBare(b, config, f))
					ours, theirs = append(ours, our), append(theirs, their)
				}
				compare(b, times, ours, theirs)
			})
		}
	}
}

// cost is what one side has taken so far: time, and the process's CPU time,
// which says more where the machine has other work as well.
type cost struct{ wall, cpu time.Duration }

// compare runs both sides in turn, so that whatever else the machine does falls
// on both alike.
func compare(b *testing.B, times int, ours, theirs []func() error) {
	b.Helper()
	var our, their cost
	turns := 0
	for b.Loop() {
		if turns%2 == 0 {
			our.add(b, ours, times)
			their.add(b, theirs, times)
		} else {
			their.add(b, theirs, times)
			our.add(b, ours, times)
		}
		turns++
	}
	done := float64(turns * times * len(ours))
	b.ReportMetric(done/our.wall.Seconds(), "ours/s")
	b.ReportMetric(done/their.wall.Seconds(), "bare/s")
	b.ReportMetric(their.wall.Seconds()/our.wall.Seconds(), "ratio")
	b.ReportMetric(their.cpu.Seconds()/our.cpu.Seconds(), "cpu-ratio")
	b.ReportMetric(0, "ns/op") // means nothing here
}

// add lets the workers run side by side, each repeating its operation.
func (c *cost) add(b *testing.B, workers []func() error, times int) {
	b.Helper()
	start, used := time.Now(), cpuTime(b)
	var group sync.WaitGroup
	for _, work := range workers {
		group.Go(func() {
			for range times {
				if err := work(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	c.wall += time.Since(start)
	c.cpu += cpuTime(b) - used
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatalf("reading the CPU time: %v", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func newFixture(b *testing.B, config hsm.Config, algorithm string) fixture {
	b.Helper()
	f := fixture{token: hsmtest.Open(b, config), algorithm: algorithm}
	if err := f.token.CreateKEK(b.Context(), "kek"); err != nil {
		b.Fatalf("creating the KEK: %v", err)
	}
	var err error
	if f.service, err = f.token.CreateServiceKey(b.Context(), "service", algorithm); err != nil {
		b.Fatalf("creating the service key: %v", err)
	}
	if f.public, f.blob, err = f.token.GenerateWrapped(b.Context(), "kek", algorithm); err != nil {
		b.Fatalf("generating: %v", err)
	}
	return f
}

func newBare(b *testing.B, config hsm.Config, f fixture) bare {
	b.Helper()
	module, session := hsmtest.Intruder(b, config)
	digest := sha256.Sum256([]byte("statement"))
	c := bare{
		module: module, session: session, blob: f.blob,
		private: findOne(b, module, session, pkcs11.CKO_PRIVATE_KEY, "service"),
		kek:     findOne(b, module, session, pkcs11.CKO_SECRET_KEY, "kek"),
	}
	keyType := uint(pkcs11.CKK_EC)
	c.mechanism, c.data = []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil)}, digest[:]
	if f.algorithm == hsm.RSA3072 {
		keyType = pkcs11.CKK_RSA
		c.mechanism = []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil)}
		c.data = append([]byte("\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"), digest[:]...)
	}
	for kind, value := range lawfulTemplate(keyType) {
		c.template = append(c.template, pkcs11.NewAttribute(kind, value))
	}
	return c
}
