package signer_test

import (
	"sync"
	"testing"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// TestBusyIsNoGuess: whoever is told to come back, however often, has used none
// of the tries after which a password locks.
func TestBusyIsNoGuess(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	request := s.ask(ana, "nota")

	var once sync.Once
	counted, goOn := make(chan struct{}), make(chan struct{})
	config := s.module.Config
	config.Vault = signer.NewVault(signer.VaultConfig{Keys: s.keys, Epochs: s.vault.Epochs(), Parallel: 1, Cost: signer.Cost{MemoryKiB: 64, Passes: 1, Lanes: 1}})
	config.Step = func(name string) {
		if name == "identify/counted" {
			once.Do(func() { close(counted); <-goOn })
		}
	}
	s.module = signer.New(config)
	first := make(chan error)
	go func() {
		_, err := s.identify(request, ana, "otra-Contraseña-1")
		first <- err
	}()
	<-counted
	for range 2 * s.module.Limits.Password.Tries {
		_, err := s.identify(request, ana, password)
		s.wants(err, policies.Busy)
	}
	close(goOn)
	s.wants(<-first, policies.CredentialsWrong)

	config.Step = nil
	s.module = signer.New(config)
	if _, err := s.identify(request, ana, password); err != nil {
		t.Errorf("the right password after many who were turned away: %v", err)
	}
}
