// Package sandbox is what developers of applications try Rúbrica with: citizens
// who are always the same, each of whom something else happens to, and whose
// codes come to the application that asked instead of to a telephone. It is part
// of a deployment only where the switch `sandbox` is on, which no production
// configuration may have.
package sandbox

import (
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// Password is that of all the citizens. It is no secret.
const Password = "Firma-de-pruebas-1" //nolint:gosec // printed in the documentation

// GivenName is that of all the citizens, and of nobody else.
const GivenName = "Sandbox"

// OnSignature is what happens to the code of a signature.
type OnSignature int

// What happens to codes.
const (
	Arrives  OnSignature = iota
	Wrong                // what is read first of each is another than the one that was sent
	Late                 // it arrives after Delay
	NotTaken             // no operator takes it
)

// Delay is after what time a late code arrives.
const Delay = 20 * time.Second

// Citizen is one of the citizens.
type Citizen struct {
	Identifier string
	Surnames   string // say what the citizen is for
	Phone      string
	Email      string
	// About says to developers what to expect.
	About string
	// Obstacle is what preflight names first of what stands in the way of a
	// signature, once the citizen is as it should be; empty for those who sign.
	Obstacle policies.Code

	// Age is how many years ago the identity was proved.
	Age int
	// DocumentYears is in how many years the identity document ends, or has ended.
	DocumentYears int
	Level         policies.Level
	// Inactive citizens have no password; Certified have a certificate.
	Inactive, Certified bool
	// Blocked and Deregistered are what an office does in the end.
	Blocked, Deregistered bool
	Code                  OnSignature
}

// Citizens are all of them. Their DNI are the numbers from 99999101 on: of the
// block of which test certificates of Spanish providers have theirs.
func Citizens() []Citizen {
	all := []Citizen{
		{
			Identifier: "99999101T", Surnames: "OK", Certified: true,
			About: "Has a certificate, and signs.",
		},
		{
			Identifier: "99999102R", Surnames: "No Certificate", Obstacle: policies.CredentialMissing,
			About: "Has no certificate yet: the first signing page offers one, with a code of its own. From then on like OK.",
		},
		{
			Identifier: "99999103W", Surnames: "Blocked", Blocked: true, Obstacle: policies.CitizenBlocked,
			About: "An office has blocked the citizen: nothing can be done.",
		},
		{
			Identifier: "99999104A", Surnames: "Weak Registration", Level: policies.LevelBasic, Obstacle: policies.RegistrationLevel,
			About: "Was registered at the basic level, with a letter: no certificate until somebody sees the citizen in person.",
		},
		{
			Identifier: "99999105G", Surnames: "Five Years", Age: 6, Obstacle: policies.RegistrationTooOld,
			About: "Was registered six years ago: no certificate until the registration is renewed.",
		},
		{
			Identifier: "99999106M", Surnames: "Expired Document", Age: 2, DocumentYears: -1, Obstacle: policies.IdentityDocumentExpiry,
			About: "The identity document ended a year ago: no certificate until the citizen shows a new one.",
		},
		{
			Identifier: "99999107Y", Surnames: "Wrong Code", Code: Wrong, Certified: true,
			About: "The first answer to each code of a signature is another code: typed in, it is code_wrong. The second answer is right.",
		},
		{
			Identifier: "99999108F", Surnames: "Slow SMS", Code: Late, Certified: true,
			About: "The code of a signature arrives after twenty seconds; until then there is none (404).",
		},
		{
			Identifier: "99999109P", Surnames: "No SMS", Code: NotTaken, Certified: true,
			About: "No operator takes the code of a signature: the signing page says sms_failed.",
		},
		{
			Identifier: "99999110D", Surnames: "Deregistered", Deregistered: true, Obstacle: policies.CitizenDeregistered,
			About: "Has left the service: nothing can be done.",
		},
		{
			Identifier: "99999111X", Surnames: "Not Activated", Inactive: true, Obstacle: policies.CitizenInactive,
			About: "Was registered and has not chosen a password yet.",
		},
	}
	for i := range all {
		c := &all[i]
		c.Phone = "+34600999" + c.Identifier[5:8]
		c.Email = c.Identifier[:8] + "@sandbox.example"
		if c.DocumentYears == 0 {
			c.DocumentYears = 5
		}
		if c.Level == "" {
			c.Level = policies.LevelAdvanced
		}
	}
	return all
}

// ByIdentifier finds one of them.
func ByIdentifier(identifier string) (Citizen, bool) {
	return find(func(c Citizen) bool { return c.Identifier == identifier })
}

func byPhone(phone string) (Citizen, bool) {
	return find(func(c Citizen) bool { return c.Phone == phone })
}

func find(is func(Citizen) bool) (Citizen, bool) {
	all := Citizens()
	i := slices.IndexFunc(all, is)
	if i < 0 {
		return Citizen{}, false
	}
	return all[i], true
}
