package tsa

import (
	"context"
	"crypto"
	"crypto/sha256"
	"testing"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
)

// BenchmarkStamp compares a stamp with the bare use of the token's key that it
// contains: all the rest should cost little.
func BenchmarkStamp(b *testing.B) {
	token := hsmtest.New(b)
	for _, algorithm := range []string{hsm.RSA3072, hsm.P256} {
		key, err := token.CreateServiceKey(b.Context(), algorithm, algorithm)
		if err != nil {
			b.Fatal(err)
		}
		u := newUnit(b, "p256")
		c := u.config
		c.Signer, c.Certificate = key, u.certificate(b, key.Public(), nil)
		c.Trusted = func(context.Context) error { return nil }
		authority, err := New(c)
		if err != nil {
			b.Fatal(err)
		}
		query, digest := ask(b, nil), sha256.Sum256(nil)
		parallel := func(name string, do func() error) {
			b.Run(algorithm+"/"+name, func(b *testing.B) {
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := do(); err != nil {
							b.Error(err)
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "/s")
			})
		}
		parallel("C_Sign", func() error { _, err := key.Sign(nil, digest[:], crypto.SHA256); return err })
		parallel("stamp", func() error { _, err := authority.Answer(b.Context(), query); return err })
	}
}
