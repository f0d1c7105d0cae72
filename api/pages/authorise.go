package pages

// Authorise asks a citizen whether an application may see what it asks for. The
// answer comes with the password: whoever sends the form agrees.
type Authorise struct {
	Page
	Identifier string // as typed before
	// Goes is what has pages of its own after this one: "sign", or an affair that
	// the application asks for. Empty: it asks to see certificates.
	Goes string
	Days int // for which it may see them

	SubmitURL    string
	DeclineURL   string
	ForgottenURL string
	ActivateURL  string
	// Site is where the form leads in the end: the application's.
	Site string
}

func (*Authorise) template() string   { return "authorise" }
func (a *Authorise) policy() []string { return leads(a.Site) }
