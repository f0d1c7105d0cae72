package e2e

import (
	"slices"
	"syscall"
	"testing"
)

// TestRestart stops the environment in each way there is, with ceremonies half
// done, and goes on with them afterwards. In between new keys are RSA's, as a
// deployment has them that says nothing: who has one of the other kind keeps it.
func TestRestart(t *testing.T) {
	c, usual := certified(t), shared.args
	restarted(t, syscall.SIGINT, append(slices.Clip(usual), "--set", "signer.key-algorithm=rsa-3072"), walk(t, c))
	r := certified(t)
	t.Run("RSA", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T){"Levels": everyLevel, "Producers": producers, "OwnCertificate": ownCertificate} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t)
			})
		}
	})
	restarted(t, syscall.SIGKILL, usual, walk(t, c), walk(t, r))
}

// restarted stops and starts the environment while somebody looks at documents.
func restarted(t *testing.T, sig syscall.Signal, args []string, walkers ...*walker) {
	t.Helper()
	for _, w := range walkers {
		w.reach(t, "/revisar")
	}
	if err := shared.stop(sig); err != nil {
		t.Fatal(err)
	}
	shared.args = args
	if err := shared.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, w := range walkers {
		w.finish(t)
	}
	checkInvariants(t)
}
