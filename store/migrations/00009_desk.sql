-- The desk's look-ups and lists cost the same in a register of any size: people
-- of a name come out of the index in its order, and what was decided long ago is
-- not read to show what was decided lately.

-- +goose Up

DROP INDEX citizens_surnames;
DROP INDEX citizens_names;
CREATE INDEX citizens_surnames ON citizens (plain_name(surnames || ' ' || given_name) text_pattern_ops, identifier);
CREATE INDEX citizens_names ON citizens (plain_name(given_name || ' ' || surnames) text_pattern_ops, identifier);

CREATE INDEX desk_orders_decided ON desk_orders (office, decided_at) WHERE decided_at IS NOT NULL;

-- A citizen's certificates are those of all their credentials, the destroyed too.
CREATE INDEX credentials_citizen ON credentials (citizen_id);

-- +goose Down

DROP INDEX credentials_citizen;
DROP INDEX desk_orders_decided;
DROP INDEX citizens_names;
DROP INDEX citizens_surnames;
CREATE INDEX citizens_surnames ON citizens (plain_name(surnames || ' ' || given_name) text_pattern_ops);
CREATE INDEX citizens_names ON citizens (plain_name(given_name || ' ' || surnames) text_pattern_ops);
