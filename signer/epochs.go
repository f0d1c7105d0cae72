package signer

import (
	"fmt"
)

// Secret names a kind of secret key that the token keeps for the module.
type Secret string

// The secret keys of the module. Each has epochs: new work is done with the
// newest, and what an older one protects moves at its next use.
const (
	KEK     Secret = "kek"    // wraps citizens' private keys
	Pepper  Secret = "pepper" // stands between passwords or codes and what is stored of them
	SealKey Secret = "seal"   // seals records
)

// Secrets lists them.
func Secrets() []Secret { return []Secret{KEK, Pepper, SealKey} }

// Label is the name in the token of one epoch's key.
func (s Secret) Label(epoch int) string { return fmt.Sprintf("rubrica-%s-%d", s, epoch) }

// KeeperName names a way to keep citizens' keys (DESIGN section 5).
type KeeperName string

// The two keepers.
const (
	SealedKeeper KeeperName = "sealed" // wrapped by the token, sealed under the password
	TokenKeeper  KeeperName = "token"  // an object of the token, guarded by this module alone
)

// Epochs is what new work is done with.
type Epochs struct {
	KEK, Pepper, Seal int
	Keeper            KeeperName
}
