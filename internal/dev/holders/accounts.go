// Package holders is a register of accounts and addresses for development: it
// answers as citizen/registers says, and knows a few invented people.
package holders

import (
	"crypto/subtle"
	"encoding/json/v2"
	"io"
	"net/http"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/citizen/registers"
)

// Holder is a person with an account.
type Holder struct {
	Identifier    string
	IBAN          string
	DocumentUntil string // year-month-day
	GivenName     string
	Surnames      string
	Address       citizen.Address
}

// Holders are the people of the development environment.
func Holders() []Holder {
	return []Holder{
		{
			Identifier: "11111111H", IBAN: "ES9121000418450200051332", DocumentUntil: "2032-06-30", GivenName: "Íñigo", Surnames: "Muñoz Peña",
			Address: citizen.Address{Lines: []string{"Calle de la Constitución, 14", "3.º izquierda"}, PostalCode: "33201", Town: "Gijón", Province: "Asturias"},
		},
		{
			Identifier: "22222222J", IBAN: "ES7921000813610123456789", DocumentUntil: "9999-01-01", GivenName: "Remei", Surnames: "Colom i Vidal",
			Address: citizen.Address{Lines: []string{"Carrer del Mar, 3"}, PostalCode: "46001", Town: "València"},
		},
	}
}

// questionLimit is more than any question has.
const questionLimit = 4 << 10

// Handler answers who shows the token.
func Handler(token []byte, holders []Holder) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /holder", func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), append([]byte("Bearer "), token...)) != 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var asked struct {
			Identifier    string `json:"identifier"`
			IBAN          string `json:"iban"`
			DocumentUntil string `json:"document_until"`
		}
		if err := json.UnmarshalRead(io.LimitReader(r.Body, questionLimit), &asked); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		var answer registers.Answer
		for _, h := range holders {
			if h.Identifier == asked.Identifier && h.IBAN == asked.IBAN && h.DocumentUntil == asked.DocumentUntil {
				answer = registers.Answer{Match: true, GivenName: h.GivenName, Surnames: h.Surnames, Address: h.Address}
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.MarshalWrite(w, answer) // whoever asked has gone
	})
	return mux
}
