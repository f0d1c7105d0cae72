-- Two database roles for two processes (DESIGN section 4). What rubrica_api
-- cannot write here, a broken public side cannot write: credentials, phones,
-- codes, authorisations, the state of a request, the log.

-- +goose Up
-- +goose StatementBegin
DO $$
BEGIN
    -- Roles belong to the whole cluster: another database may have made them,
    -- perhaps at this very moment.
    BEGIN CREATE ROLE rubrica_api LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
    BEGIN CREATE ROLE rubrica_signer LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
END
$$;
-- +goose StatementEnd

GRANT SELECT, INSERT, UPDATE, DELETE ON
    citizens, registrations, activations, attempts, credentials, certificates, applications, return_addresses,
    tickets, challenges, authorisations
    TO rubrica_signer;
GRANT SELECT, INSERT ON authorities, key_checks, crls TO rubrica_signer;
GRANT SELECT, UPDATE ON log_head TO rubrica_signer;
GRANT SELECT, INSERT ON log_hashes, log_entries TO rubrica_signer;
GRANT SELECT ON requests, documents TO rubrica_signer;
GRANT UPDATE (state, interrupted, closed_at) ON requests TO rubrica_signer;
GRANT UPDATE (cms) ON documents TO rubrica_signer;

GRANT SELECT ON requests, documents TO rubrica_api;
GRANT INSERT (id, application_id, identifier, title, locale, return_url, idempotency_key, body_hash, created_at, expires_at)
    ON requests TO rubrica_api;
GRANT INSERT (request_id, ordinal, name, media_type, format, size, sha256, pages, layout, content) ON documents TO rubrica_api;
GRANT UPDATE (content, signing_time, digest, fixed_for) ON documents TO rubrica_api;
GRANT SELECT, INSERT, DELETE ON access_tokens TO rubrica_api;
GRANT SELECT ON applications, return_addresses, authorities, crls, certificates TO rubrica_api;
GRANT SELECT ON citizens, registrations TO rubrica_api;
GRANT SELECT (id, citizen_id, generation, state, algorithm, created_at) ON credentials TO rubrica_api;
GRANT SELECT (hash, purpose, request_id, citizen_id, credential_id, verified, created_at, expires_at, spent_at) ON tickets TO rubrica_api;
GRANT SELECT (id, ticket_hash, purpose, request_id, citizen_id, reference, attempts, state, created_at, expires_at) ON challenges TO rubrica_api;

-- +goose Down
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM rubrica_api, rubrica_signer;
