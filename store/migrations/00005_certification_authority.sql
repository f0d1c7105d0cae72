-- The certification authority (DESIGN sections 3 and 5): a hierarchy that is
-- rolled over, lists that are partitioned, answers that are kept, certificates
-- that can be suspended, and reminders that are sent once.

-- +goose Up

-- The hierarchy ------------------------------------------------------------------

ALTER TABLE crls DROP CONSTRAINT crls_issuer_fkey;
ALTER TABLE authorities
    DROP CONSTRAINT authorities_name,
    ADD COLUMN role           text,
    ADD COLUMN generation     integer CHECK (generation > 0),
    ADD COLUMN token          text        NOT NULL DEFAULT 'service' CONSTRAINT authorities_token CHECK (token IN ('service', 'root')),
    ADD COLUMN issuer         text,
    ADD COLUMN shard          text,
    ADD COLUMN retired_at     timestamptz,
    ADD COLUMN revoked_at     timestamptz,
    ADD COLUMN reason         integer;
UPDATE authorities SET role = name, generation = 1, issuer = 'root';
UPDATE authorities SET name = 'issuing-1' WHERE name = 'issuing';
ALTER TABLE authorities
    ALTER COLUMN role SET NOT NULL,
    ALTER COLUMN generation SET NOT NULL,
    ALTER COLUMN issuer SET NOT NULL,
    ADD CONSTRAINT authorities_role CHECK (role IN ('root', 'issuing', 'ocsp', 'tsa')),
    ADD CONSTRAINT authorities_reason CHECK ((revoked_at IS NULL) = (reason IS NULL)),
    ADD CONSTRAINT authorities_issuer FOREIGN KEY (issuer) REFERENCES authorities;
COMMENT ON TABLE authorities IS 'certificates of the hierarchy and of its services: root, issuing-1, ocsp-1 (of issuing-1), tsa-1 …';
COMMENT ON COLUMN authorities.token IS 'where the private key is: the root''s is off line';
COMMENT ON COLUMN authorities.shard IS 'revocation list that the certificate names; none but a TSA''s names one of the issuing authority''s';
COMMENT ON COLUMN authorities.retired_at IS 'since when nothing new is done with the key';

CREATE TABLE ceremony_steps (
    step    text        PRIMARY KEY,
    done_at timestamptz NOT NULL
);
COMMENT ON TABLE ceremony_steps IS 'what has been done of key ceremonies, so that an interrupted one goes on; what was done stands in the log';
INSERT INTO ceremony_steps (step, done_at) SELECT 'ceremony-1', created_at FROM authorities WHERE name = 'root';

-- Revocation lists ---------------------------------------------------------------

CREATE TABLE crl_shards (
    name    text        PRIMARY KEY,
    issuer  text        NOT NULL REFERENCES authorities,
    year    integer     NOT NULL DEFAULT 0,
    ordinal integer     NOT NULL DEFAULT 0,
    issued  integer     NOT NULL DEFAULT 0,
    ends_at timestamptz NOT NULL,
    CONSTRAINT crl_shards_place UNIQUE (issuer, year, ordinal)
);
COMMENT ON TABLE crl_shards IS 'revocation lists, /ca/<name>.crl: one a year of issue and issuing authority, and the next when it is full';
COMMENT ON COLUMN crl_shards.issued IS 'certificates that name it';
COMMENT ON COLUMN crl_shards.ends_at IS 'when the last of them has expired';
INSERT INTO crl_shards (name, issuer, ends_at) SELECT 'root', name, 'infinity' FROM authorities WHERE role = 'root';
INSERT INTO crl_shards (name, issuer, issued, ends_at)
SELECT
    'issuing', name,
    (SELECT count(*) FROM certificates WHERE state = 'issued'),
    coalesce((SELECT max(not_after) FROM certificates), created_at)
FROM authorities WHERE role = 'issuing';

ALTER TABLE crls RENAME COLUMN issuer TO shard;
ALTER TABLE crls
    ADD COLUMN digest bytea,
    ADD CONSTRAINT crls_shard FOREIGN KEY (shard) REFERENCES crl_shards;
COMMENT ON COLUMN crls.digest IS 'of what the list says, without its dates';

ALTER TABLE certificates
    ADD COLUMN issuer         text,
    ADD COLUMN shard          text,
    ADD COLUMN status_version bigint NOT NULL DEFAULT 1,
    ALTER COLUMN request_id DROP NOT NULL;
UPDATE certificates SET issuer = 'issuing-1', shard = 'issuing';
ALTER TABLE certificates
    ALTER COLUMN issuer SET NOT NULL,
    ALTER COLUMN shard SET NOT NULL,
    ADD CONSTRAINT certificates_issuer FOREIGN KEY (issuer) REFERENCES authorities,
    ADD CONSTRAINT certificates_shard FOREIGN KEY (shard) REFERENCES crl_shards;
COMMENT ON COLUMN certificates.status_version IS 'grows with each revocation, suspension and release; a kept OCSP answer is good for its own only';
DROP INDEX certificates_revoked;
CREATE INDEX certificates_revoked ON certificates (shard, revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX certificates_ending ON certificates (not_after) WHERE state = 'issued' AND (revoked_at IS NULL OR reason = 6);

CREATE INDEX log_entries_status ON log_entries (operation, seq)
    WHERE type IN ('certificate.revoked', 'certificate.suspended', 'certificate.released');
COMMENT ON INDEX log_entries_status IS 'what the log says of a citizen''s certificates counts, whatever their rows say';

-- Answers of the OCSP responder --------------------------------------------------

CREATE TABLE ocsp_answers (
    serial         text        PRIMARY KEY,
    status_version bigint      NOT NULL,
    der            bytea       NOT NULL,
    this_update    timestamptz NOT NULL,
    next_update    timestamptz NOT NULL
);
CREATE INDEX ocsp_answers_age ON ocsp_answers (next_update);

CREATE TABLE certificate_changes (
    seq    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    serial text        NOT NULL,
    issuer text        NOT NULL,
    shard  text        NOT NULL,
    at     timestamptz NOT NULL
);
CREATE INDEX certificate_changes_at ON certificate_changes (at);
COMMENT ON TABLE certificate_changes IS 'issued, revoked, suspended, released: written while the log''s head is locked, so that seq is the order of the commits; forgotten after a day';

-- The citizen's own affairs ------------------------------------------------------

UPDATE tickets SET spent_at = now(), sealed_key = NULL WHERE purpose = 'password' AND spent_at IS NULL;
ALTER TABLE tickets DROP CONSTRAINT tickets_purpose;
UPDATE tickets SET purpose = 'affairs' WHERE purpose = 'password';
ALTER TABLE tickets ADD CONSTRAINT tickets_purpose CHECK (purpose IN ('activation', 'signature', 'affairs'));
ALTER TABLE challenges
    DROP CONSTRAINT challenges_purpose,
    ADD CONSTRAINT challenges_purpose CHECK (purpose IN ('activation', 'certificate', 'signature', 'password', 'revocation', 'suspension', 'release'));
ALTER TABLE office_acts
    DROP CONSTRAINT office_acts_act,
    ADD CONSTRAINT office_acts_act CHECK (act IN
        ('register', 'renew_activation', 'block', 'unblock', 'revoke', 'suspend', 'release', 'deregister', 'report_death'));

CREATE TABLE reminders (
    citizen_id text        NOT NULL REFERENCES citizens,
    key        text        NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (citizen_id, key)
);
COMMENT ON TABLE reminders IS 'that a certificate or a registration is going to end: each is enqueued in the transaction that writes it here, once';
CREATE INDEX registrations_age ON registrations (assured_at);

GRANT SELECT, INSERT, UPDATE ON authorities, crl_shards TO rubrica_signer;
GRANT SELECT, INSERT ON ceremony_steps TO rubrica_signer;
GRANT SELECT, INSERT, UPDATE, DELETE ON ocsp_answers TO rubrica_signer;
GRANT SELECT, INSERT, DELETE ON certificate_changes TO rubrica_signer;
GRANT SELECT, INSERT ON reminders TO rubrica_signer;
GRANT DELETE ON crls TO rubrica_signer;
GRANT SELECT ON crl_shards, certificate_changes TO rubrica_api;

-- +goose Down
-- +goose StatementBegin
DO $$ BEGIN RAISE EXCEPTION 'certificates that name partitioned lists do not go back: restore a backup of the older version'; END $$;
-- +goose StatementEnd
