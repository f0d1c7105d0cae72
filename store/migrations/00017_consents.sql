-- What citizens let applications see of them: consents of scope service, with an
-- entry in the log when one is given and when it is withdrawn.

-- +goose Up

CREATE TABLE service_consents (
    id             text        PRIMARY KEY,
    citizen_id     text        NOT NULL REFERENCES citizens,
    application_id text        NOT NULL REFERENCES applications,
    scopes         text[]      NOT NULL,
    given_at       timestamptz NOT NULL,
    withdrawn_at   timestamptz
);
COMMENT ON TABLE service_consents IS 'that an application may see of a citizen what the scopes say, until it is withdrawn';
CREATE INDEX service_consents_live ON service_consents (citizen_id) WHERE withdrawn_at IS NULL;

ALTER TABLE oauth_grants ADD COLUMN consent_id text REFERENCES service_consents;
COMMENT ON COLUMN oauth_grants.consent_id IS 'the consent that it rests on: with it, it ends';
CREATE INDEX oauth_grants_consent ON oauth_grants (consent_id) WHERE consent_id IS NOT NULL;

GRANT SELECT, INSERT ON service_consents TO rubrica_signer;
GRANT UPDATE (withdrawn_at) ON service_consents TO rubrica_signer;
GRANT SELECT ON service_consents TO rubrica_api;
GRANT SELECT (id, consent_id, revoked_at) ON oauth_grants TO rubrica_signer;
GRANT UPDATE (revoked_at, sad) ON oauth_grants TO rubrica_signer;

-- +goose Down

ALTER TABLE oauth_grants DROP COLUMN consent_id;
DROP TABLE service_consents;
