-- Certificates that are made and given up because an application has asked its
-- citizen to (Cloud Signature Consortium 2.2, credentials/create and delete).

-- +goose Up

ALTER TABLE applications
    DROP CONSTRAINT applications_switches,
    ADD CONSTRAINT applications_switches CHECK
        (switches <@ ARRAY['secret', 'no-par', 'no-sender-constraint', 'csc-v1', 'explicit', 'credentials']);

ALTER TABLE challenges ADD COLUMN application_id text REFERENCES applications;
COMMENT ON COLUMN challenges.application_id IS 'who has asked for what it confirms; null: the citizen alone';

ALTER TABLE oauth_grants ADD COLUMN spent_at timestamptz;
COMMENT ON COLUMN oauth_grants.spent_at IS 'when its application asked for the one answer that it is good for (scopes credential_creation and credential_deletion)';
GRANT UPDATE (spent_at) ON oauth_grants TO rubrica_api;

-- +goose Down

ALTER TABLE oauth_grants DROP COLUMN spent_at;
ALTER TABLE challenges DROP COLUMN application_id;
UPDATE applications SET switches = array_remove(switches, 'credentials');
ALTER TABLE applications
    DROP CONSTRAINT applications_switches,
    ADD CONSTRAINT applications_switches CHECK (switches <@ ARRAY['secret', 'no-par', 'no-sender-constraint', 'csc-v1', 'explicit']);
