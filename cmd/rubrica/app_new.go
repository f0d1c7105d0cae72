package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/oauth"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const (
	// maxAppName is in characters: an SMS and the window of a letter show names.
	maxAppName = 100
	maxContact = 200
)

// newClient reads an application that is to be registered, at the command line or
// at the desk. One that hands in neither key nor certificate gets a secret, whose
// hash this is, and what the FAPI 2.0 security profile asks beyond that is relaxed.
func newClient(id string, n citizen.NewApplication, secretHash []byte, now time.Time) (signer.Client, error) {
	c := signer.Client{
		ID: id, Name: n.Name, Organisation: n.Organisation, Scopes: n.Scopes, ReturnAddresses: n.ReturnAddresses, Contact: n.Contact,
	}
	err := checkNew(n)
	if err == nil && n.Keys != "" {
		c.Keys, err = clientKeys(n.Keys, now, now.AddDate(signer.KeyLife, 0, 0))
	}
	if err == nil && n.Certificate != "" {
		c.Certificates = make([]signer.ClientCertificate, 1)
		c.Certificates[0], err = readCertificate(n.Certificate)
	}
	if len(c.Keys)+len(c.Certificates) == 0 {
		c.SecretHash, c.Switches = secretHash, []string{signer.SwitchSecret, signer.SwitchUnbound}
	}
	return c, err
}

// checkNew refuses what would never work later: an application that cannot take
// its citizens back, or whose name would not be read as it is written.
func checkNew(n citizen.NewApplication) error {
	switch {
	case !policies.IsLine(n.Name, maxAppName):
		return fmt.Errorf("%w: a name is one line of 1 to %d characters that can be seen", unreadable("application_name"), maxAppName)
	case !policies.IsLine(n.Organisation, maxAppName):
		return fmt.Errorf("%w: an organisation is one line of 1 to %d characters that can be seen", unreadable("application_organisation"), maxAppName)
	case len(n.Scopes) == 0:
		return unreadable("scopes")
	}
	for _, address := range n.ReturnAddresses {
		if err := oauth.CheckReturnAddress(address); err != nil {
			return fmt.Errorf("%w: %w", unreadable("return_address"), err)
		}
	}
	if slices.ContainsFunc(n.Scopes, func(s string) bool { return s != api.ScopeRegistration && s != api.ScopeVideo }) && len(n.ReturnAddresses) == 0 {
		return fmt.Errorf("%w: an application needs at least one", unreadable("return_address"))
	}
	return checkContact(n.Contact)
}

func checkContact(contact string) error {
	if contact != "" && !policies.IsLine(contact, maxContact) {
		return unreadable("contact")
	}
	return nil
}

// fromTheDesk reads an application that a supervisor registers. Offices are not
// among them: whoever could add one could sign in its name, for two officers.
func fromTheDesk(c citizen.ApplicationChange, now time.Time) (signer.Client, error) {
	if err := checkScopes(c.New.Scopes); err != nil {
		return signer.Client{}, err
	}
	if c.New.Keys+c.New.Certificate != "" {
		return newClient(c.Application, *c.New, nil, now)
	}
	hash, err := secretHash(c)
	if err != nil {
		return signer.Client{}, err
	}
	return newClient(c.Application, *c.New, hash, now)
}

// checkScopes wants something that an application may ask for, and nothing that
// is an office's.
func checkScopes(scopes []string) error {
	if len(scopes) == 0 || len(scopes) > len(api.ClientScopes()) || slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(api.ClientScopes(), s) }) {
		return unreadable("scopes")
	}
	return nil
}

// clientKeys reads public keys that are good for a span.
func clientKeys(text string, from, until time.Time) ([]signer.ClientKey, error) {
	keys, err := oauth.ParseKeys([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", unreadable("client_key"), err)
	}
	for i := range keys {
		keys[i].NotBefore, keys[i].NotAfter = from, until
	}
	return keys, nil
}

func readCertificate(text string) (signer.ClientCertificate, error) {
	k, err := oauth.ParseCertificate([]byte(text))
	if err != nil {
		return k, fmt.Errorf("%w: %w", unreadable("client_certificate"), err)
	}
	return k, nil
}
