-- Who is deciding at the desk: of several officers at once, one.

-- +goose Up

ALTER TABLE desk_orders
    ADD COLUMN turn       text,
    ADD COLUMN turn_until timestamptz,
    ADD CONSTRAINT desk_orders_turn CHECK ((turn IS NULL) = (turn_until IS NULL));
COMMENT ON COLUMN desk_orders.turn IS 'whoever is deciding about it or carrying it out now, until turn_until';

ALTER TABLE video_registrations
    ADD COLUMN turn       text,
    ADD COLUMN turn_until timestamptz,
    ADD CONSTRAINT video_registrations_turn CHECK ((turn IS NULL) = (turn_until IS NULL));
COMMENT ON COLUMN video_registrations.turn IS 'whoever is deciding about it now, until turn_until';
GRANT UPDATE (turn, turn_until) ON video_registrations TO rubrica_registrar;

-- +goose Down

ALTER TABLE desk_orders DROP COLUMN turn, DROP COLUMN turn_until;
ALTER TABLE video_registrations DROP COLUMN turn, DROP COLUMN turn_until;
