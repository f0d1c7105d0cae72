package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
)

// RegistrarCommand is the registration authority (ETSI EN 319 411-1, section
// 4.2): who registers people, apart from who serves pages and who signs.
type RegistrarCommand struct {
	Serve RegistrarServeCommand `cmd:"" help:"Run the officers' desk, and the door where citizens show certificates."`
}

// OfficeKeysSettings name the offices in whose name the registrar signs.
type OfficeKeysSettings struct {
	// Office are JSON files that app add --scope registration wrote; each has an
	// office's private key.
	Office []string `help:"File with the credentials of an office (JSON); several allowed." required:"" type:"existingfile"`
	// ServiceURL is the audience of what is signed.
	ServiceURL string `name:"service-url" help:"Public address of the service." required:"" production:"https"`
}

// signatories reads the offices' keys, by client id and in the order given.
func (s OfficeKeysSettings) signatories() (all []*citizen.Signatory, err error) {
	for _, path := range s.Office {
		credentials, err := officeCredentials(path)
		if err != nil {
			return nil, err
		}
		office, err := citizen.ReadSignatory(citizen.SignatoryConfig{
			Office: credentials.ID, Audience: withoutSlash(s.ServiceURL), PrivateKey: credentials.PrivateKey, Now: time.Now,
		})
		if err != nil {
			return nil, fmt.Errorf("reading the office in %s: %w", path, err)
		}
		all = append(all, office)
	}
	return all, nil
}

// officeCredentials reads what app add --scope registration wrote.
func officeCredentials(path string) (c clientCredentials, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("reading the office's credentials: %w", err)
	}
	defer clear(text)
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("reading the office's credentials in %s: %w", path, err)
	}
	return c, nil
}
