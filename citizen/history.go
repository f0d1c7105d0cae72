package citizen

import (
	"time"

	"github.com/rubrica-firma/rubrica/signer"
)

// HistoryQuery asks for what a citizen was asked to sign. Empty fields ask for
// nothing.
type HistoryQuery struct {
	Identifier  string
	State       signer.State
	Application string // client id
	From, To    time.Time
	Before      HistoryPlace // where the last page ended
	Limit       int
}

// HistoryPlace is a row's place in the history.
type HistoryPlace struct {
	At time.Time
	ID string
}

// HistoryRow is a request as its citizen sees it in a list.
type HistoryRow struct {
	ID          string
	Title       string
	Application signer.Application
	State       signer.State
	Documents   int
	CreatedAt   time.Time
	ExpiresAt   time.Time
	ClosedAt    time.Time
}

// Place is where the row stands.
func (r HistoryRow) Place() HistoryPlace { return HistoryPlace{At: r.CreatedAt, ID: r.ID} }

// Visit is a session, running or over.
type Visit struct {
	Purpose   signer.Purpose
	Via       signer.Via
	At        time.Time
	ExpiresAt time.Time
}
