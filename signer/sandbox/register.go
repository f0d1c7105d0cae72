package sandbox

import (
	"context"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// Register carries out the registrations that offices sign. Those of the citizens
// are made by a register whose clock is as many years behind as they are to have
// been registered for; everybody else is registered now.
type Register struct {
	// Config is that of the deployment's register.
	Config citizen.Config
}

// Perform is a citizen.Performer of ActRegister.
func (r Register) Perform(ctx context.Context, s citizen.Statement) (citizen.Receipt, error) {
	config, a := r.Config, s.Application
	a.Office, a.By = s.OfficeName, s.By()
	a.Officer = a.By.String()
	if c, ours := ByIdentifier(a.Identifier.String()); ours {
		config.Store = punctual{config.Store, r.Config.Now}
		config.Now = func() time.Time { return r.Config.Now().AddDate(-c.Age, 0, 0) }
		if a.Level = c.Level; a.Level == policies.LevelBasic {
			a.Mode = policies.ModeLetter
		}
	}
	return citizen.New(config).Register(ctx, a)
}

// punctual writes into the log when things happen, whatever the register's clock
// says: the log takes nothing that is late.
type punctual struct {
	citizen.Store

	now func() time.Time
}

// Register implements citizen.Store.
func (p punctual) Register(ctx context.Context, r citizen.Registering, entries ...audit.Entry) error {
	for i := range entries {
		entries[i].At = p.now()
	}
	return p.Store.Register(ctx, r, entries...)
}
