-- The signature log that nobody can rewrite unseen: what it is searched by, what
-- of it was published and witnessed, and who may ask it.

-- +goose Up

-- The tree -------------------------------------------------------------------------

ALTER TABLE log_head ADD COLUMN edge bytea[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN log_head.edge IS 'roots of the complete subtrees that the entries form, from left to right: what the next append needs, and no hash has to be read for it';

-- The subtrees of a tree are the ones of its size in binary; a hash stands at the
-- index that golang.org/x/mod/sumdb/tlog gives it (StoredHashIndex).
-- +goose StatementBegin
DO $$
DECLARE
    total bigint;
    done  bigint := 0;
    n     bigint;
    place bigint;
    roots bytea[] := '{}';
BEGIN
    SELECT size INTO total FROM log_head;
    FOR level IN REVERSE 62..0 LOOP
        IF (total >> level) & 1 = 1 THEN
            n := ((done >> level) + 1 << level) - 1; -- the last leaf of the subtree
            place := level;
            WHILE n > 0 LOOP
                place := place + n;
                n := n >> 1;
            END LOOP;
            SELECT roots || hash INTO STRICT roots FROM log_hashes WHERE index = place;
            done := done + (1::bigint << level);
        END IF;
    END LOOP;
    UPDATE log_head SET edge = roots;
END $$;
-- +goose StatementEnd

CREATE TABLE log_terms (
    kind  text   NOT NULL CONSTRAINT log_terms_kind CHECK (kind IN ('application', 'certificate', 'citizen', 'document', 'reason')),
    value text   NOT NULL,
    seq   bigint NOT NULL,
    PRIMARY KEY (kind, value, seq)
);
COMMENT ON TABLE log_terms IS 'by what entries are found, beside operation, person, type and time; derived from the payloads, and gone with them';
CREATE INDEX log_entries_type ON log_entries (type, seq);
CREATE INDEX log_entries_at ON log_entries (at, seq);

-- As audit.Terms finds them in what was written so far.
INSERT INTO log_terms (kind, value, seq)
SELECT DISTINCT kind, value, seq
FROM (
    SELECT seq, type, convert_from(payload, 'UTF8')::jsonb AS p FROM log_entries WHERE payload IS NOT NULL
) e, LATERAL (
    SELECT 'application' AS kind, p ->> 'application' AS value WHERE type IN ('sign.requested', 'sign.authorised')
    UNION ALL SELECT 'certificate', p ->> 'serial' WHERE type IN ('sign.authorised', 'sign.intent', 'sign.done', 'certificate.intent', 'certificate.issued',
        'certificate.revoked', 'certificate.suspended', 'certificate.released', 'authority.intent', 'authority.issued', 'authority.revoked')
    UNION ALL SELECT 'certificate', p ->> 'id' WHERE type = 'certificate.interrupted'
    UNION ALL SELECT 'reason', split_part(p ->> 'reason', ':', 1) WHERE type IN ('activation.failed', 'activation.blocked', 'auth.failed', 'auth.locked',
        'auth.paused', 'auth.expired', 'certificate.refused', 'sign.denied', 'citizen.seal_broken', 'office.act_refused')
    UNION ALL SELECT 'document', v.value
        FROM jsonb_array_elements(CASE jsonb_typeof(p -> 'documents') WHEN 'array' THEN p -> 'documents' ELSE '[]' END) d,
            LATERAL (VALUES (d ->> 'sha256'), (CASE type WHEN 'sign.intent' THEN d ->> 'digest' END)) v (value)
        WHERE type LIKE 'sign.%' AND jsonb_typeof(d) = 'object'
) t
WHERE value <> '';

-- Publication ----------------------------------------------------------------------

CREATE TABLE log_trees (
    origin   text        PRIMARY KEY,
    key      text        NOT NULL,
    begun_at timestamptz NOT NULL,
    begun    bigint      NOT NULL CHECK (begun >= 0),
    ended_at timestamptz
);
CREATE UNIQUE INDEX log_trees_one ON log_trees ((true)) WHERE ended_at IS NULL;
COMMENT ON TABLE log_trees IS 'names under which the tree was published; a new one begins when entries were lost that a witness had seen';
COMMENT ON COLUMN log_trees.key IS 'verifier key (C2SP signed-note)';
COMMENT ON COLUMN log_trees.begun IS 'size of the log when the name was taken';

CREATE TABLE log_checkpoints (
    origin       text        NOT NULL REFERENCES log_trees,
    size         bigint      NOT NULL CHECK (size >= 0),
    root         bytea       NOT NULL CHECK (length(root) = 32),
    note         text        NOT NULL,
    signed_at    timestamptz NOT NULL,
    witnessed_at timestamptz,
    timestamp    bytea,
    PRIMARY KEY (origin, size)
);
CREATE INDEX log_checkpoints_witnessed ON log_checkpoints (origin, size) WHERE witnessed_at IS NOT NULL;
CREATE INDEX log_checkpoints_age ON log_checkpoints (signed_at);
COMMENT ON COLUMN log_checkpoints.note IS 'C2SP signed note: the log''s signature, then cosignatures';
COMMENT ON COLUMN log_checkpoints.witnessed_at IS 'when the witnesses'' quorum was reached';
COMMENT ON COLUMN log_checkpoints.timestamp IS 'RFC 3161 token over the note as the log signed it';

CREATE VIEW signature_entries WITH (security_barrier) AS
SELECT seq, type, operation, at, leaf, payload, salt
FROM log_entries
WHERE type IN ('sign.intent', 'sign.done') AND payload IS NOT NULL;
COMMENT ON VIEW signature_entries IS 'what receipts hold: all that the public side may read of payloads';

-- Totals ---------------------------------------------------------------------------

CREATE TABLE log_totals (
    day         date   NOT NULL,
    type        text   NOT NULL,
    application text   NOT NULL,
    reason      text   NOT NULL,
    n           bigint NOT NULL,
    seconds     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (day, type, application, reason)
);
COMMENT ON TABLE log_totals IS 'entries by day (UTC), for plots; derived, and counted up to log_head.totalled';
COMMENT ON COLUMN log_totals.seconds IS 'sum of the times that the entries tell, such as from code to confirmation';
ALTER TABLE log_head ADD COLUMN totalled bigint NOT NULL DEFAULT 0;

-- Auditors -------------------------------------------------------------------------

CREATE TABLE auditors (
    id          text        PRIMARY KEY,
    name        text        NOT NULL,
    role        text        NOT NULL CONSTRAINT auditors_role CHECK (role IN ('auditor', 'administrator')),
    certificate bytea       UNIQUE CONSTRAINT auditors_certificate CHECK (length(certificate) = 32),
    secret_hash bytea       CONSTRAINT auditors_secret CHECK (length(secret_hash) = 32),
    created_at  timestamptz NOT NULL,
    disabled_at timestamptz,
    CONSTRAINT auditors_programs CHECK (secret_hash IS NULL OR role = 'auditor')
);
COMMENT ON COLUMN auditors.certificate IS 'SHA-256 of the TLS client certificate, DER';
COMMENT ON COLUMN auditors.secret_hash IS 'of a program that asks by itself, with the scope audit';

CREATE TABLE auditor_passkeys (
    id         bytea       PRIMARY KEY,
    auditor_id text        NOT NULL REFERENCES auditors ON DELETE CASCADE,
    record     jsonb       NOT NULL,
    created_at timestamptz NOT NULL,
    used_at    timestamptz
);
COMMENT ON TABLE auditor_passkeys IS 'WebAuthn credentials: public keys, counters, flags';

CREATE TABLE auditor_invitations (
    hash       bytea       PRIMARY KEY,
    auditor_id text        NOT NULL REFERENCES auditors ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE auditor_invitations IS 'links by which a passkey may be added, once';

CREATE TABLE auditor_challenges (
    hash       bytea       PRIMARY KEY,
    record     jsonb       NOT NULL,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE auditor_challenges IS 'WebAuthn ceremonies under way, by the hash of what the browser holds';

CREATE TABLE auditor_sessions (
    hash       bytea       PRIMARY KEY,
    auditor_id text        NOT NULL REFERENCES auditors ON DELETE CASCADE,
    purpose    text        NOT NULL DEFAULT '',
    by         text        NOT NULL CONSTRAINT auditor_sessions_by CHECK (by IN ('certificate', 'passkey', 'token')),
    certificate bytea      CONSTRAINT auditor_sessions_certificate CHECK (length(certificate) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX auditor_sessions_expiry ON auditor_sessions (expires_at);
COMMENT ON COLUMN auditor_sessions.purpose IS 'why the auditor asks, in their words; each query is logged with it';
COMMENT ON COLUMN auditor_sessions.by IS 'how the identity was proved; a token is a program''s, the others belong to a cookie';
COMMENT ON COLUMN auditor_sessions.certificate IS 'SHA-256 of the TLS client certificate that it is bound to (RFC 8705, section 3)';

-- Grants ---------------------------------------------------------------------------

-- +goose StatementBegin
DO $$
BEGIN
    -- As for the other two: roles belong to the whole cluster.
    BEGIN CREATE ROLE rubrica_auditor LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
END
$$;
-- +goose StatementEnd

GRANT SELECT, INSERT ON log_terms, log_trees TO rubrica_signer;
GRANT UPDATE (ended_at) ON log_trees TO rubrica_signer;
GRANT SELECT, INSERT, UPDATE, DELETE ON log_checkpoints, log_totals TO rubrica_signer;
GRANT SELECT, INSERT, UPDATE ON auditors TO rubrica_signer;
GRANT SELECT, INSERT, DELETE ON auditor_passkeys, auditor_invitations TO rubrica_signer;
GRANT SELECT, DELETE ON auditor_sessions TO rubrica_signer;

GRANT SELECT (seq, leaf) ON log_entries TO rubrica_api;
GRANT SELECT ON log_hashes, log_trees, log_checkpoints, signature_entries TO rubrica_api;

GRANT SELECT ON log_entries, log_hashes, log_head, log_terms, log_trees, log_checkpoints, log_totals, auditors TO rubrica_auditor;
GRANT SELECT (id, name) ON applications TO rubrica_auditor;
GRANT SELECT, INSERT, UPDATE, DELETE ON auditor_passkeys, auditor_challenges, auditor_sessions TO rubrica_auditor;
GRANT SELECT, INSERT, DELETE ON auditor_invitations TO rubrica_auditor;
GRANT UPDATE (disabled_at) ON auditors TO rubrica_auditor;

-- +goose Down
DROP TABLE auditor_sessions, auditor_challenges, auditor_invitations, auditor_passkeys, auditors, log_totals;
DROP VIEW signature_entries;
DROP TABLE log_checkpoints, log_trees, log_terms;
DROP INDEX log_entries_type, log_entries_at;
ALTER TABLE log_head DROP COLUMN edge, DROP COLUMN totalled;
REVOKE SELECT (seq, leaf) ON log_entries FROM rubrica_api;
REVOKE SELECT ON log_hashes FROM rubrica_api;
REVOKE ALL ON log_entries, log_hashes, log_head FROM rubrica_auditor;
REVOKE SELECT (id, name) ON applications FROM rubrica_auditor;
