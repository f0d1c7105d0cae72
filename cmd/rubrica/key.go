package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"text/tabwriter"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// KeyCommand looks after the token's secret keys and the keepers of citizens'
// keys. A signer that runs learns of each change within seconds.
type KeyCommand struct {
	Status  KeyStatusCommand  `cmd:"" help:"Show the secret keys, what depends on each, and where citizens' keys are kept."`
	Rotate  KeyRotateCommand  `cmd:"" help:"Begin a new epoch of a secret key; what the old one protects moves at its next use."`
	Retire  KeyRetireCommand  `cmd:"" help:"Destroy an old epoch's key for ever, once nothing needs it."`
	Migrate KeyMigrateCommand `cmd:"" help:"Change where citizens' keys are kept; each is replaced at its citizen's next use."`
}

// keyRoom is what these commands work in.
type keyRoom struct {
	db    *store.DB
	token *hsm.Token
}

// KeySettings say where database and token are.
type KeySettings struct {
	// Database is opened in the role rubrica_signer.
	Database string `help:"Address of the database (role rubrica_signer)." required:""`
	TokenSettings
}

func (s KeySettings) enter(ctx context.Context, work func(keyRoom) error) error {
	if err := s.actAsOwner(); err != nil {
		return err
	}
	db, err := openDatabase(ctx, s.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	token, err := s.open(slog.Default())
	if err != nil {
		return err
	}
	if err := checkToken(ctx, db, token, map[string]bool{}); err != nil {
		return errors.Join(err, token.Close())
	}
	return errors.Join(work(keyRoom{db, token}), token.Close())
}

// KeyStatusCommand shows.
type KeyStatusCommand struct {
	Database string `help:"Address of the database (role rubrica_signer)." required:""`
}

// Run prints two tables.
func (c *KeyStatusCommand) Run(ctx context.Context) error {
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	epochs, err := db.EpochsInUse(ctx)
	if err != nil {
		return fmt.Errorf("reading the epochs: %w", err)
	}
	now, err := db.Epochs(ctx)
	if err != nil {
		return fmt.Errorf("reading the epochs: %w", err)
	}
	kept, err := db.KeysOfKeepers(ctx)
	if err != nil {
		return fmt.Errorf("counting keys: %w", err)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "key\tsince\trecords that need it\tcheck value\t")
	for _, e := range epochs {
		needed := fmt.Sprint(e.Uses)
		if !e.DestroyedAt.IsZero() {
			needed = "destroyed " + e.DestroyedAt.Format(time.DateOnly)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%x\t\n", e.Kind.Label(e.Epoch.Epoch), e.CreatedAt.Format(time.DateOnly), needed, e.CheckValue[:6])
	}
	_ = table.Flush()
	fmt.Printf("\nNew keys are kept %s. Keys that can sign: %d sealed, %d in the token.\n", keptAs(string(now.Keeper)), kept[signer.SealedKeeper], kept[signer.TokenKeeper])
	return nil
}

// KeyRotateCommand begins an epoch.
type KeyRotateCommand struct {
	KeySettings
	Secret string `arg:"" help:"kek, pepper or seal." enum:"kek,pepper,seal"`
}

// Run makes the key, and then the one for new work.
func (c *KeyRotateCommand) Run(ctx context.Context) error {
	return c.enter(ctx, func(room keyRoom) error {
		secret := signer.Secret(c.Secret)
		epochs, err := room.db.KeyEpochs(ctx)
		if err != nil {
			return fmt.Errorf("reading the epochs: %w", err)
		}
		next := 1
		for _, e := range epochs {
			if e.Kind == secret {
				next = max(next, e.Epoch+1)
			}
		}
		if err := begin(ctx, room.db, room.token, secret, next); err != nil {
			return err
		}
		if secret == signer.SealKey {
			if err := room.resealOffices(ctx); err != nil {
				return fmt.Errorf("sealing the offices anew: %w", err)
			}
		}
		fmt.Printf("%s is the key for new work. What the older ones protect moves at its next use: rubrica key status.\n", secret.Label(next))
		return nil
	})
}

// resealOffices moves the offices' records, which have no next use to move at.
func (r keyRoom) resealOffices(ctx context.Context) error {
	epochs, err := r.db.Epochs(ctx)
	if err != nil {
		return err
	}
	return citizen.ResealOffices(ctx, r.db, signer.NewVault(signer.VaultConfig{Keys: r.token, Epochs: epochs}))
}

// resealRecords moves citizens' records: a seal needs no password, and some
// citizens never come back.
func (r keyRoom) resealRecords(ctx context.Context, epoch int) error {
	epochs, err := r.db.Epochs(ctx)
	if err != nil || epoch >= epochs.Seal {
		return err
	}
	vault := signer.NewVault(signer.VaultConfig{Keys: r.token, Epochs: epochs})
	people := signer.People{Rows: r.db, Vault: vault, Now: time.Now, Logger: slog.Default()}
	return sealRecords(ctx, r.db, epoch, people, people.ByID)
}

// begin makes a secret key and records its epoch. Interrupted between the two,
// it goes on with the key that is there.
func begin(ctx context.Context, db *store.DB, token *hsm.Token, secret signer.Secret, number int) error {
	epoch, err := secretKey(ctx, token, secret, number)
	if err != nil {
		return err
	}
	return db.BeginEpoch(ctx, epoch, audit.Entry{
		Type: audit.KeyEpochBegun, Operation: "key-" + secret.Label(number), At: time.Now(),
		Payload: map[string]any{"key": secret.Label(number), "check_value": fmt.Sprintf("%x", epoch.CheckValue)},
	})
}

// secretKey is one epoch's key, made if it is not there yet.
func secretKey(ctx context.Context, token *hsm.Token, secret signer.Secret, number int) (store.Epoch, error) {
	label, create := secret.Label(number), token.CreatePepper
	if secret == signer.KEK {
		create = token.CreateKEK
	}
	if err := create(ctx, label); err != nil && !errors.Is(err, hsm.ErrKeyExists) {
		return store.Epoch{}, fmt.Errorf("making %s: %w", label, err)
	}
	check, err := token.CheckValue(ctx, label)
	if err != nil {
		return store.Epoch{}, fmt.Errorf("checking %s: %w", label, err)
	}
	return store.Epoch{Kind: secret, Epoch: number, CheckValue: check}, nil
}

// KeyRetireCommand destroys an epoch's key.
type KeyRetireCommand struct {
	KeySettings
	Secret string `arg:"" help:"kek, pepper or seal." enum:"kek,pepper,seal"`
	Epoch  int    `arg:"" help:"Number of the epoch."`
}

// Run records the end and then destroys: interrupted between the two, it is run
// again. A backup of the database from before the last use of the key cannot be
// used any more afterwards; that is the point.
func (c *KeyRetireCommand) Run(ctx context.Context) error {
	return c.enter(ctx, func(room keyRoom) error {
		secret := signer.Secret(c.Secret)
		label := secret.Label(c.Epoch)
		if secret == signer.SealKey {
			if err := room.resealRecords(ctx, c.Epoch); err != nil {
				return fmt.Errorf("moving the records under %s: %w", label, err)
			}
		}
		err := room.db.EndEpoch(ctx, secret, c.Epoch, audit.Entry{
			Type: audit.KeyEpochDestroyed, Operation: "key-" + label, At: time.Now(), Payload: map[string]any{"key": label},
		})
		if errors.Is(err, store.ErrEpochInUse) {
			return fmt.Errorf("retiring %s: %w (records move when their citizens next identify or sign; rubrica key status counts them)", label, err)
		}
		if err != nil {
			return fmt.Errorf("retiring %s: %w", label, err)
		}
		if err := room.token.Destroy(ctx, label); err != nil && !errors.Is(err, hsm.ErrNoKey) {
			return fmt.Errorf("destroying %s: %w", label, err)
		}
		fmt.Printf("%s is destroyed.\n", label)
		return nil
	})
}

// KeyMigrateCommand changes the keeper.
type KeyMigrateCommand struct {
	Database string `help:"Address of the database (role rubrica_signer)." required:""`
	To       string `help:"sealed or token." enum:"sealed,token" required:""`
}

// Run changes where new keys are kept.
func (c *KeyMigrateCommand) Run(ctx context.Context) error {
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	now, err := db.Epochs(ctx)
	if err != nil {
		return fmt.Errorf("reading the epochs: %w", err)
	}
	if now.Keeper == signer.KeeperName(c.To) {
		fmt.Printf("New keys are kept %s already.\n", keptAs(c.To))
		return nil
	}
	err = db.SetKeeper(ctx, signer.KeeperName(c.To), audit.Entry{
		Type: audit.KeeperChanged, Operation: "keeper", At: time.Now(), Payload: map[string]any{"from": string(now.Keeper), "to": c.To},
	})
	if err != nil {
		return fmt.Errorf("changing the keeper: %w", err)
	}
	fmt.Printf("From now on keys are kept %s. No key can move between keepers: each is replaced, with its certificate, when its citizen next signs\n"+
		"and the rules allow a new one; until then it goes on as it is. rubrica key status counts them.\n", keptAs(c.To))
	return nil
}

// keptAs says it in words.
func keptAs(keeper string) string {
	if signer.KeeperName(keeper) == signer.TokenKeeper {
		return "in the token"
	}
	return "sealed under their citizens' passwords"
}

// sealOlderRecords begins the first epoch of the seal where an older version
// has kept records without one, and seals them as they stand. Once there is an
// epoch no record is believed without a seal, so this happens once.
func sealOlderRecords(ctx context.Context, db *store.DB, token *hsm.Token) error {
	epochs, err := db.Epochs(ctx)
	if err != nil || epochs.Seal > 0 {
		return err
	}
	if err := begin(ctx, db, token, signer.SealKey, 1); err != nil {
		return err
	}
	epochs.Seal = 1
	vault := signer.NewVault(signer.VaultConfig{Keys: token, Epochs: epochs})
	people := signer.People{Rows: db, Vault: vault, Now: time.Now, Logger: slog.Default()}
	return sealRecords(ctx, db, 0, people, db.CitizenByID)
}

// sealRecords seals the records of one epoch under the newest.
func sealRecords(
	ctx context.Context, db *store.DB, epoch int, people signer.People,
	read func(context.Context, string) (signer.Citizen, *signer.Credential, error),
) error {
	ids, err := db.SealedUnder(ctx, epoch)
	if err != nil {
		return err
	}
	for _, id := range ids {
		c, k, err := read(ctx, id)
		if err != nil {
			return fmt.Errorf("citizen %s: %w", id, err)
		}
		change, err := people.Change(ctx, c, k)
		if err != nil {
			return err
		}
		if err := db.SealRecord(ctx, change); err != nil {
			return fmt.Errorf("citizen %s: %w (somebody changes it now: run this again)", id, err)
		}
	}
	return nil
}
