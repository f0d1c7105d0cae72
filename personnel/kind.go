package personnel

import (
	"slices"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// The roles. An administrator looks after the accounts of their own kind, and
// has nothing else of it.
const (
	RoleAuditor       = "auditor"
	RoleAdministrator = "administrator"
	RoleOfficer       = "officer"
	RoleSupervisor    = "supervisor" // an officer who also confirms what others ask
)

// Kind is one of the two kinds of personnel, as everything about it is named.
type Kind struct {
	// Name is auditor or officer: of its tables, cookies and commands.
	Name string
	// Roles are those of which an account has one.
	Roles []string
	// Programs says that accounts may be of programs, with a secret.
	Programs bool
	// Purposeful is the role that says why it asks before it is let in; empty
	// where each question has a reason of its own.
	Purposeful string
	// Offices says that an account belongs to an office.
	Offices bool
	// Refused is the one answer to all that fail to enter.
	Refused policies.Code
	Events  Events
}

// Events are what the log is told of accounts.
type Events struct {
	Added, Invited, Disabled, Enrolled, LoggedIn, LoginFailed audit.EventType
}

// Auditors ask the log.
func Auditors() Kind {
	return Kind{
		Name: "auditor", Roles: []string{RoleAuditor, RoleAdministrator}, Programs: true, Purposeful: RoleAuditor,
		Refused: policies.AuditorRefused,
		Events: Events{
			Added: audit.AuditorAdded, Invited: audit.AuditorInvited, Disabled: audit.AuditorDisabled,
			Enrolled: audit.AuditorEnrolled, LoggedIn: audit.AuditorLoggedIn, LoginFailed: audit.AuditorLoginFailed,
		},
	}
}

// Officers register citizens, each for one office.
func Officers() Kind {
	return Kind{
		Name: "officer", Roles: []string{RoleOfficer, RoleSupervisor, RoleAdministrator}, Offices: true,
		Refused: policies.OfficerRefused,
		Events: Events{
			Added: audit.OfficerAdded, Invited: audit.OfficerInvited, Disabled: audit.OfficerDisabled,
			Enrolled: audit.OfficerEnrolled, LoggedIn: audit.OfficerLoggedIn, LoginFailed: audit.OfficerLoginFailed,
		},
	}
}

// Has is whether the kind knows a role.
func (k Kind) Has(role string) bool { return slices.Contains(k.Roles, role) }
