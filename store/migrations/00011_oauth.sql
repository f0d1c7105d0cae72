-- The authorisation server: what an application may do and how it shows itself,
-- authorisation requests on their way, grants. Of codes, refresh tokens and
-- request URIs there are hashes only; an SAD is encrypted under the code or the
-- access token with which its application asks for it.

-- +goose Up

ALTER TABLE applications
    ALTER COLUMN secret_hash DROP NOT NULL,
    ADD COLUMN contact  text   NOT NULL DEFAULT '',
    ADD COLUMN switches text[] NOT NULL DEFAULT '{}'
        CONSTRAINT applications_switches CHECK (switches <@ ARRAY['secret', 'no-par', 'no-sender-constraint', 'csc-v1', 'explicit']),
    ADD COLUMN doors    text[] NOT NULL DEFAULT '{}' CONSTRAINT applications_doors CHECK (doors <@ ARRAY['rest', 'csc', 'fire']),
    ADD COLUMN formats  text[] NOT NULL DEFAULT '{}',
    ADD COLUMN levels   text[] NOT NULL DEFAULT '{}',
    ADD COLUMN calls    integer CONSTRAINT applications_calls CHECK (calls > 0);
COMMENT ON COLUMN applications.contact IS 'whom to tell when something is wrong';
COMMENT ON COLUMN applications.switches IS 'what of the FAPI 2.0 security profile is relaxed, and what else is off by default';
COMMENT ON COLUMN applications.doors IS 'through which it may come; empty: all. Likewise formats and levels';
COMMENT ON COLUMN applications.calls IS 'calls a second; null: what the deployment grants';
-- Those that were there before go on as they did.
UPDATE applications SET switches = '{secret,no-sender-constraint}';
ALTER TABLE applications
    ADD CONSTRAINT applications_secret CHECK (secret_hash IS NOT NULL OR NOT 'secret' = ANY (switches));

CREATE TABLE application_keys (
    application_id text        NOT NULL REFERENCES applications,
    kid            text        NOT NULL,
    jwk            jsonb       NOT NULL,
    not_before     timestamptz NOT NULL,
    not_after      timestamptz NOT NULL,
    added_at       timestamptz NOT NULL,
    PRIMARY KEY (application_id, kid),
    CONSTRAINT application_keys_span CHECK (not_before < not_after)
);
COMMENT ON TABLE application_keys IS 'public keys with which an application signs what shows who it is (private_key_jwt); several, so that they can change';

CREATE TABLE application_certificates (
    application_id text        NOT NULL REFERENCES applications,
    sha256         bytea       NOT NULL,
    der            bytea       NOT NULL,
    not_before     timestamptz NOT NULL,
    not_after      timestamptz NOT NULL,
    added_at       timestamptz NOT NULL,
    PRIMARY KEY (application_id, sha256)
);
COMMENT ON TABLE application_certificates IS 'TLS certificates by which an application shows who it is, by their fingerprint (RFC 8705, section 2)';

CREATE TABLE oauth_sessions (
    hash           bytea       PRIMARY KEY,
    request_uri    bytea       UNIQUE,
    application_id text        NOT NULL REFERENCES applications,
    request_id     text        UNIQUE REFERENCES requests,
    subject        text,
    data           jsonb       NOT NULL,
    expires_at     timestamptz NOT NULL,
    used_at        timestamptz,
    ended_at       timestamptz
);
COMMENT ON TABLE oauth_sessions IS 'authorisation requests on their way';
COMMENT ON COLUMN oauth_sessions.hash IS 'SHA-256 of the session''s address';
COMMENT ON COLUMN oauth_sessions.request_uri IS 'SHA-256 of what a pushed request is asked for by (RFC 9126)';
COMMENT ON COLUMN oauth_sessions.request_id IS 'what the citizen signs (scope credential)';
COMMENT ON COLUMN oauth_sessions.used_at IS 'when the request URI was shown: a second time revokes';
CREATE INDEX oauth_sessions_expiry ON oauth_sessions (expires_at);

CREATE TABLE oauth_grants (
    id                 text        PRIMARY KEY,
    application_id     text        NOT NULL REFERENCES applications,
    session            bytea,
    subject            text,
    request_id         text        REFERENCES requests,
    credential_id      text,
    scopes             text[]      NOT NULL,
    code               bytea       UNIQUE,
    code_used_at       timestamptz,
    refreshable        boolean     NOT NULL,
    refresh            bytea       UNIQUE,
    sad                bytea,
    sad_expires_at     timestamptz,
    data               jsonb       NOT NULL,
    created_at         timestamptz NOT NULL,
    revoked_at         timestamptz,
    expires_at         timestamptz NOT NULL
);
COMMENT ON TABLE oauth_grants IS 'what was granted to an application: by a citizen, or to itself';
COMMENT ON COLUMN oauth_grants.session IS 'SHA-256 of the session that it came of';
COMMENT ON COLUMN oauth_grants.subject IS 'the citizen; null: the application itself';
COMMENT ON COLUMN oauth_grants.code IS 'SHA-256, as refresh';
COMMENT ON COLUMN oauth_grants.sad IS 'AES-256-GCM under a key that comes of the code';
COMMENT ON COLUMN oauth_grants.expires_at IS 'when nothing of it is left to be used';
CREATE INDEX oauth_grants_session ON oauth_grants (session) WHERE session IS NOT NULL;
CREATE INDEX oauth_grants_expiry ON oauth_grants (expires_at);

ALTER TABLE access_tokens
    ADD COLUMN grant_id    text REFERENCES oauth_grants ON DELETE CASCADE,
    ADD COLUMN jkt         text,
    ADD COLUMN certificate bytea,
    ADD COLUMN sad         bytea,
    ADD COLUMN revoked_at  timestamptz;
COMMENT ON COLUMN access_tokens.jkt IS 'thumbprint of the key that it is bound to (RFC 9449)';
COMMENT ON COLUMN access_tokens.certificate IS 'SHA-256 of the certificate that it is bound to (RFC 8705)';
COMMENT ON COLUMN access_tokens.sad IS 'AES-256-GCM under a key that comes of the token';
CREATE INDEX access_tokens_grant ON access_tokens (grant_id);

CREATE TABLE oauth_proofs (
    hash       bytea       PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE oauth_proofs IS 'identifiers of assertions and proofs that were shown, so that none is twice';
CREATE INDEX oauth_proofs_expiry ON oauth_proofs (expires_at);

GRANT SELECT, INSERT, DELETE ON application_keys, application_certificates TO rubrica_signer;
GRANT SELECT ON application_keys, application_certificates TO rubrica_api;
GRANT SELECT, INSERT, DELETE ON oauth_sessions, oauth_grants TO rubrica_api;
GRANT UPDATE (hash, request_id, subject, data, expires_at, used_at, ended_at) ON oauth_sessions TO rubrica_api;
GRANT UPDATE (code_used_at, refresh, sad, data, expires_at, revoked_at) ON oauth_grants TO rubrica_api;
GRANT SELECT, INSERT, DELETE ON oauth_proofs TO rubrica_api;
GRANT UPDATE (sad, revoked_at) ON access_tokens TO rubrica_api;

-- +goose Down

DROP TABLE oauth_proofs;
ALTER TABLE access_tokens
    DROP COLUMN grant_id, DROP COLUMN jkt, DROP COLUMN certificate, DROP COLUMN sad, DROP COLUMN revoked_at;
DROP TABLE oauth_grants, oauth_sessions, application_certificates, application_keys;
ALTER TABLE applications
    DROP COLUMN contact, DROP COLUMN switches, DROP COLUMN doors, DROP COLUMN formats, DROP COLUMN levels, DROP COLUMN calls;
DELETE FROM applications WHERE secret_hash IS NULL;
ALTER TABLE applications ALTER COLUMN secret_hash SET NOT NULL;
