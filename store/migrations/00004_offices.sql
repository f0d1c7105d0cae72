-- What an office does, it signs with a key of its own (DESIGN section 4): the
-- public side only carries it.

-- +goose Up

ALTER TABLE applications
    ADD COLUMN public_key bytea,
    ADD COLUMN seal       bytea,
    ADD COLUMN seal_epoch integer,
    ADD CONSTRAINT applications_office CHECK (num_nulls(public_key, seal, seal_epoch) IN (0, 3));
COMMENT ON COLUMN applications.public_key IS 'SubjectPublicKeyInfo of the key that signs an office''s acts; without one an office cannot act';
COMMENT ON COLUMN applications.seal IS 'HSM HMAC over id, name, organisation, scopes, enabled and public_key';

CREATE TABLE office_acts (
    office text        NOT NULL REFERENCES applications,
    jti    text        NOT NULL,
    act    text        NOT NULL CONSTRAINT office_acts_act CHECK (act IN ('register', 'renew_activation', 'block', 'unblock', 'revoke', 'deregister')),
    at     timestamptz NOT NULL,
    PRIMARY KEY (office, jti)
);
CREATE INDEX office_acts_at ON office_acts (at);
COMMENT ON TABLE office_acts IS 'written before the act is carried out: none is carried out twice; forgotten when no act of that age is accepted any more';

GRANT SELECT, INSERT, DELETE ON office_acts TO rubrica_signer;

-- +goose Down
DROP TABLE office_acts;
ALTER TABLE applications
    DROP COLUMN public_key,
    DROP COLUMN seal,
    DROP COLUMN seal_epoch;
