package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/citizen"
)

// mostPlaces is how many offices one search gives.
const mostPlaces = 30

const selectPlace = `
	SELECT
		id,
		name,
		address,
		postal_code,
		town,
		province,
		phone,
		hours,
		appointment,
		latitude,
		longitude
	FROM office_places`

// Places finds offices: those of a postal code and, after them, the nearest of
// its province, as far as its digits tell; or those whose town, province or name
// has the words, in this order.
func (p Public) Places(ctx context.Context, s citizen.PlaceSearch) ([]citizen.Place, error) {
	sql, args := selectPlace+`
		WHERE ' ' || town_key || ' ' || province_key || ' ' || name_key LIKE '% ' || @words || '%'
		ORDER BY
			town_key = @words DESC,
			town_key LIKE @words || '%' DESC,
			' ' || town_key LIKE '% ' || @words || '%' DESC,
			province_key LIKE @words || '%' DESC,
			town_key,
			name
		LIMIT @most`, pgx.NamedArgs{"words": s.Words, "most": mostPlaces}
	if s.PostalCode != "" {
		sql, args = selectPlace+`
		WHERE postal_code LIKE left(@code, 2) || '%'
		ORDER BY
			postal_code LIKE left(@code, 5) || '%' DESC,
			postal_code LIKE left(@code, 4) || '%' DESC,
			postal_code LIKE left(@code, 3) || '%' DESC,
			abs(postal_code::integer - rpad(@code, 5, '0')::integer),
			name
		LIMIT @most`, pgx.NamedArgs{"code": s.PostalCode, "most": mostPlaces}
	}
	rows, err := p.db.pool.Query(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanPlace)
}

func scanPlace(row pgx.CollectableRow) (citizen.Place, error) {
	var p citizen.Place
	err := row.Scan(
		&p.ID,
		&p.Name,
		&p.Address,
		&p.PostalCode,
		&p.Town,
		&p.Province,
		&p.Phone,
		&p.Hours,
		&p.Appointment,
		&p.Latitude,
		&p.Longitude,
	)
	return p, err
}

// ReplacePlaces puts a list of offices in the place of the one that was there.
func (db *DB) ReplacePlaces(ctx context.Context, places []citizen.Place) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM office_places`); err != nil {
			return fmt.Errorf("removing the old list: %w", err)
		}
		columns := []string{
			"id", "name", "address", "postal_code", "town", "province", "phone", "hours", "appointment", "latitude", "longitude",
			"name_key", "town_key", "province_key",
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"office_places"}, columns, pgx.CopyFromSlice(len(places), func(i int) ([]any, error) {
			p := places[i]
			return []any{
				p.ID, p.Name, p.Address, p.PostalCode, p.Town, p.Province, p.Phone, p.Hours, p.Appointment, p.Latitude, p.Longitude,
				citizen.PlaceKey(p.Name), citizen.PlaceKey(p.Town), citizen.PlaceKey(p.Province),
			}, nil
		}))
		return err
	})
}
