package main

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// Labels of the service's key pairs in the token; the secret keys' are
// signer.Secret's.
const (
	rootKey    = "rubrica-root"
	issuingKey = "rubrica-issuing"
	logKey     = "rubrica-log"
)

// InitCommand holds the first ceremony of keys. Running it again changes
// nothing; run after an interruption it goes on.
type InitCommand struct {
	// Database is opened in the role rubrica_signer.
	Database string `help:"Address of the database (role rubrica_signer)." required:""`
	TokenSettings
	PublicSettings
	// RootAlgorithm and IssuingAlgorithm are rsa-3072, rsa-4096, ec-p256 or ec-p384.
	RootAlgorithm    string `help:"Key of the root." default:"rsa-4096"`
	IssuingAlgorithm string `help:"Key of the issuing authority." default:"rsa-3072"`
	// Keeper is where citizens' keys are kept; rubrica key migrate changes it.
	Keeper string `help:"Keep citizens' keys sealed under their passwords, or as objects of the token." enum:"sealed,token" default:"sealed"`
	// Organisation names the authority in its certificates.
	Organisation string `help:"Organisation of the certification authority." default:"Rúbrica"`
	// RootFile, if given, receives the root certificate as PEM.
	RootFile string `help:"Write the root certificate here (PEM)." type:"path"`
}

// Run holds the ceremony.
func (c *InitCommand) Run(ctx context.Context) error {
	if err := c.actAsOwner(); err != nil {
		return err
	}
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	token, err := c.open(slog.Default())
	if err != nil {
		return err
	}
	defer token.Close() //nolint:errcheck // the process ends

	hierarchy, err := db.Hierarchy(ctx)
	if err != nil {
		return fmt.Errorf("reading the authorities: %w", err)
	}
	if len(hierarchy) == 0 {
		if hierarchy, err = c.ceremony(ctx, db, token); err != nil {
			return fmt.Errorf("holding the key ceremony: %w", err)
		}
	}
	if err := sealOlderRecords(ctx, db, token); err != nil {
		return fmt.Errorf("sealing the records of an older version: %w", err)
	}
	if err := checkToken(ctx, db, token, map[string]bool{}); err != nil {
		return err
	}
	root, _ := hierarchy.Named("root")
	return c.writeRoot(root.DER)
}

// ceremony makes the keys that are not there yet and certifies them. Nothing
// counts until the last step, so an interrupted one is simply held again with
// the keys that it left.
func (c *InitCommand) ceremony(ctx context.Context, db *store.DB, token *hsm.Token) (ca.Hierarchy, error) {
	keys := map[string]crypto.Signer{}
	for label, algorithm := range map[string]string{rootKey: c.RootAlgorithm, issuingKey: c.IssuingAlgorithm, logKey: "ec-p256"} {
		key, err := serviceKey(ctx, token, label, algorithm)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", label, err)
		}
		keys[label] = key
	}
	result := store.Ceremony{Step: "ceremony-1", Keeper: signer.KeeperName(c.Keeper)}
	for _, secret := range signer.Secrets() {
		epoch, err := secretKey(ctx, token, secret, 1)
		if err != nil {
			return nil, err
		}
		result.Epochs = append(result.Epochs, epoch)
	}
	root, issuing, err := c.certify(keys)
	if err != nil {
		return nil, err
	}
	result.Members = []ca.Member{
		{Name: "root", Role: ca.RoleRoot, Generation: 1, KeyLabel: rootKey, Token: ca.ServiceToken, Issuer: "root", DER: root.Raw},
		{Name: "issuing-1", Role: ca.RoleIssuing, Generation: 1, KeyLabel: issuingKey, Token: ca.ServiceToken, Issuer: "root", DER: issuing.Raw},
	}
	c.report(result, root, issuing)
	err = db.RecordCeremony(ctx, result, audit.Entry{
		Type: audit.KeyCeremony, Operation: "ceremony-1", At: time.Now(),
		Payload: map[string]any{
			"keys":   []string{rootKey, issuingKey, logKey, signer.KEK.Label(1), signer.Pepper.Label(1), signer.SealKey.Label(1)},
			"keeper": c.Keeper,
			"root":   fmt.Sprintf("%x", root.SerialNumber), "issuing": fmt.Sprintf("%x", issuing.SerialNumber),
			"root_sha256": fmt.Sprintf("%x", sha256.Sum256(root.Raw)), "issuing_sha256": fmt.Sprintf("%x", sha256.Sum256(issuing.Raw)),
			"check_values": checkValues(result.Epochs),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("recording the ceremony: %w", err)
	}
	return db.Hierarchy(ctx)
}

func serviceKey(ctx context.Context, token *hsm.Token, label, algorithm string) (crypto.Signer, error) {
	there, err := token.Exists(ctx, label)
	if err != nil {
		return nil, err
	}
	if there {
		return token.ServiceKey(ctx, label)
	}
	return token.CreateServiceKey(ctx, label, algorithm)
}

// report prints what the minutes of the ceremony note.
func (c *InitCommand) report(result store.Ceremony, root, issuing *x509.Certificate) {
	fmt.Printf("Keys of token %q:\n", c.TokenLabel)
	for _, label := range []string{rootKey, issuingKey, logKey} {
		fmt.Printf("  %-20s key pair\n", label)
	}
	for _, e := range result.Epochs {
		fmt.Printf("  %-20s check value %x\n", e.Kind.Label(e.Epoch), e.CheckValue)
	}
	fmt.Printf("Certificates (SHA-256):\n  root    %x\n  issuing %x\n", sha256.Sum256(root.Raw), sha256.Sum256(issuing.Raw))
	fmt.Printf("Citizens' keys will be kept %s.\n", keptAs(c.Keeper))
}

func checkValues(epochs []store.Epoch) []string {
	out := make([]string, len(epochs))
	for i, e := range epochs {
		out[i] = fmt.Sprintf("%s %x", e.Kind.Label(e.Epoch), e.CheckValue)
	}
	return out
}

// certify makes a root for twenty years and an issuing authority for ten: each
// outlives what it certifies twice over.
func (c *InitCommand) certify(keys map[string]crypto.Signer) (root, issuing *x509.Certificate, err error) {
	issuerURL, err := c.caURL("root.cer")
	if err != nil {
		return nil, nil, err
	}
	crlURL, err := c.caURL("root.crl")
	if err != nil {
		return nil, nil, err
	}
	from := time.Now().UTC().Truncate(time.Second)
	name := func(common string) ca.Name {
		return ca.Name{Country: "ES", Organisation: c.Organisation, CommonName: c.Organisation + " " + common}
	}
	root, err = ca.CreateRoot(ca.Root{Name: name("CA Raíz"), NotBefore: from, NotAfter: from.AddDate(20, 0, 0)}, keys[rootKey], lint.Certificate)
	if err != nil {
		return nil, nil, fmt.Errorf("certifying the root: %w", err)
	}
	issuing, err = ca.CreateIssuing(ca.Issuing{
		Name: name("CA Ciudadanos"), NotBefore: from, NotAfter: from.AddDate(10, 0, 0),
		PublicKey: keys[issuingKey].Public(), Addresses: ca.Addresses{Issuer: issuerURL}, CRL: crlURL,
	}, root, keys[rootKey], lint.Certificate)
	if err != nil {
		return nil, nil, fmt.Errorf("certifying the issuing authority: %w", err)
	}
	return root, issuing, nil
}

// errOtherToken means that keys were sealed under another token's.
var errOtherToken = errors.New("this is not the token that the database knows: its keys answer differently. Name the right one with --pkcs11-module, --token-label and --pin-file, or restore its backup")

// checkToken refuses a token whose secret keys are not the ones that citizens'
// keys and records were sealed under, now and whenever it comes back. What it
// has checked is in known; called again, it looks at what has changed since.
func checkToken(ctx context.Context, db *store.DB, token *hsm.Token, known map[string]bool) error {
	epochs, err := db.KeyEpochs(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys' check values: %w", err)
	}
	for _, e := range epochs {
		label, want := e.Kind.Label(e.Epoch), e.CheckValue
		if !e.DestroyedAt.IsZero() {
			want = nil // nobody must miss it
		}
		if expected, asked := known[label]; asked && expected == (want != nil) {
			continue
		}
		if err := token.Expect(ctx, label, want); err != nil {
			return fmt.Errorf("%w (key %s: %w)", errOtherToken, label, err)
		}
		known[label] = want != nil
	}
	return nil
}

func (c *InitCommand) writeRoot(der []byte) error {
	if c.RootFile == "" {
		return nil
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(c.RootFile, text, 0o644); err != nil { //nolint:gosec // a public certificate
		return fmt.Errorf("writing the root certificate: %w", err)
	}
	return nil
}
