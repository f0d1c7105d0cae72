package store

import (
	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
)

// list is one of the sorted lists.
type list struct{ kind, value string }

// The lists that are not of terms.
const (
	ofPerson    = "@person" // and of whom was asked about
	ofOperation = "@operation"
	ofTypes     = "@types"
)

func listsOf(f audit.Filter) []list {
	var lists []list
	if f.Citizen != "" {
		lists = append(lists, list{ofPerson, f.Citizen})
	}
	if f.Operation != "" {
		lists = append(lists, list{ofOperation, f.Operation})
	}
	for _, t := range f.Terms {
		lists = append(lists, list{t.Kind, t.Value})
	}
	if len(f.Types) > 0 {
		lists = append(lists, list{ofTypes, ""})
	}
	return lists
}

// args name some of the lists in SQL; the others are empty there.
func (s *search) args(lists []list) pgx.NamedArgs {
	args := pgx.NamedArgs{"person": "", "operation": "", "types": []audit.EventType{}}
	kinds, values := []string{}, []string{}
	for _, l := range lists {
		switch l.kind {
		case ofPerson:
			args["person"] = l.value
		case ofOperation:
			args["operation"] = l.value
		case ofTypes:
			args["types"] = s.filter.Types
		default:
			kinds, values = append(kinds, l.kind), append(values, l.value)
		}
	}
	args["kinds"], args["values"] = kinds, values
	return args
}

// listsSQL are the first numbers of lists, at most so many of each.
const listsSQL = `
	(
		SELECT '@person' AS kind, @person AS value, seq
		FROM (
			(
				SELECT seq
				FROM log_entries
				WHERE person = @person AND seq >= @from AND seq < @to
				ORDER BY seq {way}
				LIMIT @limit
			) UNION (
				SELECT seq
				FROM log_terms
				WHERE kind = 'citizen' AND value = @person AND seq >= @from AND seq < @to
				ORDER BY seq {way}
				LIMIT @limit
			)
		) AS people
		WHERE @person <> ''
		ORDER BY seq {way}
		LIMIT @limit
	) UNION ALL (
		SELECT '@operation', @operation, seq
		FROM log_entries
		WHERE operation = @operation AND @operation <> '' AND seq >= @from AND seq < @to
		ORDER BY seq {way}
		LIMIT @limit
	) UNION ALL (
		SELECT asked.kind, asked.value, t.seq
		FROM unnest(@kinds::text[], @values::text[]) AS asked (kind, value) CROSS JOIN LATERAL (
			SELECT seq
			FROM log_terms
			WHERE kind = asked.kind AND value = asked.value AND seq >= @from AND seq < @to
			ORDER BY seq {way}
			LIMIT @limit
		) AS t
	) UNION ALL (
		SELECT '@types', '', t.seq
		FROM unnest(@types::text[]) AS asked (type) CROSS JOIN LATERAL (
			SELECT seq
			FROM log_entries
			WHERE type = asked.type AND seq >= @from AND seq < @to
			ORDER BY seq {way}
			LIMIT @limit
		) AS t
		ORDER BY t.seq {way}
		LIMIT @limit
	)`
