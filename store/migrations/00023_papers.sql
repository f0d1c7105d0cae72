-- Keys and certificates whose end can be moved, so that the last one overlaps the
-- next for as long as somebody says; and the desk sees where applications are told.

-- +goose Up

DELETE FROM application_certificates WHERE not_before >= not_after; -- were never good
ALTER TABLE application_certificates
    ADD CONSTRAINT application_certificates_span CHECK (not_before < not_after);
GRANT UPDATE (not_after) ON application_keys, application_certificates TO rubrica_signer;
GRANT SELECT (id, application_id, url, created_at, stopped_at, removed_at) ON webhooks TO rubrica_registrar;

-- +goose Down

REVOKE SELECT (id, application_id, url, created_at, stopped_at, removed_at) ON webhooks FROM rubrica_registrar;
REVOKE UPDATE (not_after) ON application_keys, application_certificates FROM rubrica_signer;
ALTER TABLE application_certificates DROP CONSTRAINT application_certificates_span;
