-- A secret can be changed without a break: the one before it is good for some
-- days more, as former keys and certificates are.

-- +goose Up

ALTER TABLE applications
    ADD COLUMN former_secret_hash  bytea,
    ADD COLUMN former_secret_until timestamptz,
    ADD CONSTRAINT applications_former_secret CHECK ((former_secret_hash IS NULL) = (former_secret_until IS NULL));
COMMENT ON COLUMN applications.former_secret_until IS 'until when the secret before the present one is good';

-- +goose Down

ALTER TABLE applications
    DROP CONSTRAINT applications_former_secret,
    DROP COLUMN former_secret_hash,
    DROP COLUMN former_secret_until;
