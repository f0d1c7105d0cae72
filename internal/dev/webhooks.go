package dev

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
)

// webhookKey makes the key that applications are told with, the first time.
func (u *environment) webhookKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return failure(StatusDirectory, "making a webhook key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return failure(StatusDirectory, "making a webhook key: %w", err)
	}
	made := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	u.env.WebhookKey, _, err = u.dir.secretFrom("webhook.pem", func() string { return made })
	return err
}
