package main

// ExplicitSettings are the same for api and signer: `explicit-mode = true` outside
// any table of the configuration file. The signer does not take the other's word.
type ExplicitSettings struct {
	// ExplicitMode admits password and code that pass through an application, if
	// that has the switch explicit as well: SCAL1 (docs/csc.md).
	ExplicitMode bool `help:"Let applications with the switch explicit pass on passwords and codes of citizens (SCAL1)."`
}
