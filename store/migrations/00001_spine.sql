-- The spine: citizens, credentials, the ceremony, the log. Rules live here as
-- far as SQL can say them; who may write what stands in 00002_grants.sql.

-- +goose Up

CREATE TABLE citizens (
    id             text        PRIMARY KEY,
    identifier     text        NOT NULL CONSTRAINT citizens_identifier_unique UNIQUE,
    given_name     text        NOT NULL CHECK (given_name <> ''),
    surnames       text        NOT NULL,
    phone          text        NOT NULL CONSTRAINT citizens_phone_unique UNIQUE CHECK (phone LIKE '+%'),
    email          text        NOT NULL CHECK (email LIKE '%@%'),
    locale         text        NOT NULL,
    status         text        NOT NULL CONSTRAINT citizens_status CHECK (status IN ('registered', 'active', 'blocked', 'deregistered')),
    document_until date        NOT NULL,
    created_at     timestamptz NOT NULL
);
COMMENT ON COLUMN citizens.identifier IS 'DNI or NIE, normalised: no blanks, capital letters';
COMMENT ON COLUMN citizens.phone IS 'E.164; one DNI/NIE per mobile';
COMMENT ON COLUMN citizens.document_until IS 'validity date of the DNI or NIE';

CREATE TABLE registrations (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    citizen_id text        NOT NULL REFERENCES citizens,
    mode       text        NOT NULL CONSTRAINT registrations_mode CHECK (mode IN ('office', 'certificate', 'dnie', 'letter', 'video')),
    level      text        NOT NULL CONSTRAINT registrations_level CHECK (level IN ('basic', 'advanced')),
    office     text        NOT NULL,
    officer    text        NOT NULL,
    assured_at timestamptz NOT NULL
);
CREATE INDEX registrations_citizen ON registrations (citizen_id, assured_at DESC);
COMMENT ON TABLE registrations IS 'each act that proved an identity; the newest one counts for the five-year rule';

CREATE TABLE activations (
    citizen_id text        PRIMARY KEY REFERENCES citizens,
    mac        bytea       NOT NULL,
    issued_at  timestamptz NOT NULL
);
COMMENT ON COLUMN activations.mac IS 'HSM HMAC of the activation code; the row goes when the password is set';

CREATE TABLE attempts (
    kind       text        NOT NULL CONSTRAINT attempts_kind CHECK (kind IN ('password', 'activation')),
    subject    text        NOT NULL,
    failures   integer     NOT NULL CHECK (failures > 0),
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (kind, subject)
);
COMMENT ON TABLE attempts IS 'wrong tries by identifier, known or not: counted before comparing, cleared by success';

CREATE TABLE credentials (
    id          text        PRIMARY KEY,
    citizen_id  text        NOT NULL REFERENCES citizens,
    generation  bigint      NOT NULL CHECK (generation > 0),
    state       text        NOT NULL CONSTRAINT credentials_state CHECK (state IN ('empty', 'usable', 'destroyed')),
    algorithm   text        NOT NULL DEFAULT '',
    public_key  bytea,
    salt        bytea       NOT NULL,
    argon_memory_kib integer NOT NULL CHECK (argon_memory_kib > 0),
    argon_passes     integer NOT NULL CHECK (argon_passes > 0),
    argon_lanes      integer NOT NULL CHECK (argon_lanes > 0),
    box         bytea,
    created_at  timestamptz NOT NULL,
    CONSTRAINT credentials_box CHECK ((state = 'destroyed') = (box IS NULL)),
    CONSTRAINT credentials_key CHECK (state <> 'usable' OR public_key IS NOT NULL)
);
CREATE UNIQUE INDEX credentials_one_live ON credentials (citizen_id) WHERE state <> 'destroyed';
COMMENT ON COLUMN credentials.box IS 'nonce and AES-256-GCM under the key that password and HSM derive together; over an empty payload until there is a key';

CREATE TABLE certificates (
    serial        text        PRIMARY KEY,
    credential_id text        NOT NULL REFERENCES credentials,
    state         text        NOT NULL CONSTRAINT certificates_state CHECK (state IN ('intent', 'issued', 'interrupted')),
    der           bytea,
    not_before    timestamptz NOT NULL,
    not_after     timestamptz NOT NULL,
    lease_until   timestamptz NOT NULL,
    request_id    text        NOT NULL,
    revoked_at    timestamptz,
    reason        integer,
    CONSTRAINT certificates_der CHECK ((state = 'issued') = (der IS NOT NULL)),
    CONSTRAINT certificates_reason CHECK ((revoked_at IS NULL) = (reason IS NULL))
);
CREATE INDEX certificates_credential ON certificates (credential_id);
CREATE INDEX certificates_open ON certificates (lease_until) WHERE state = 'intent';
CREATE INDEX certificates_revoked ON certificates (revoked_at) WHERE revoked_at IS NOT NULL;
COMMENT ON COLUMN certificates.reason IS 'CRLReason, RFC 5280 section 5.3.1';

CREATE TABLE applications (
    id           text        PRIMARY KEY,
    name         text        NOT NULL,
    organisation text        NOT NULL,
    secret_hash  bytea       NOT NULL,
    scopes       text[]      NOT NULL,
    enabled      boolean     NOT NULL DEFAULT true,
    created_at   timestamptz NOT NULL
);
COMMENT ON COLUMN applications.id IS 'OAuth 2 client id';
COMMENT ON COLUMN applications.secret_hash IS 'SHA-256 of a secret of 256 random bits, which needs no slower hash';

CREATE TABLE return_addresses (
    application_id text NOT NULL REFERENCES applications,
    url            text NOT NULL,
    PRIMARY KEY (application_id, url)
);

CREATE TABLE requests (
    id              text        PRIMARY KEY,
    application_id  text        NOT NULL REFERENCES applications,
    identifier      text        NOT NULL,
    title           text        NOT NULL,
    locale          text        NOT NULL,
    return_url      text        NOT NULL,
    idempotency_key text        NOT NULL,
    body_hash       bytea       NOT NULL,
    state           text        NOT NULL DEFAULT 'received' CONSTRAINT requests_state CHECK (state IN ('received', 'pending', 'signing', 'signed', 'refused', 'expired')),
    interrupted     integer     NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    closed_at       timestamptz,
    CONSTRAINT requests_idempotency UNIQUE (application_id, idempotency_key),
    CONSTRAINT requests_closed CHECK ((state IN ('signed', 'refused', 'expired')) = (closed_at IS NOT NULL))
);
CREATE INDEX requests_open ON requests (expires_at) WHERE state IN ('received', 'pending');

CREATE TABLE documents (
    request_id   text        NOT NULL REFERENCES requests ON DELETE CASCADE,
    ordinal      integer     NOT NULL CHECK (ordinal > 0),
    name         text        NOT NULL,
    media_type   text        NOT NULL,
    format       text        NOT NULL CONSTRAINT documents_format CHECK (format IN ('pades', 'cades-detached', 'cades-attached')),
    size         bigint      NOT NULL CHECK (size > 0),
    sha256       bytea       NOT NULL,
    pages        integer     NOT NULL DEFAULT 0,
    layout       jsonb,
    content      bytea,
    signing_time timestamptz,
    digest       bytea,
    fixed_for    bytea,
    cms          bytea,
    PRIMARY KEY (request_id, ordinal),
    CONSTRAINT documents_layout CHECK ((format = 'pades') = (layout IS NOT NULL)),
    CONSTRAINT documents_fixed CHECK ((digest IS NULL) = (signing_time IS NULL) AND (digest IS NULL) = (fixed_for IS NULL))
);
-- Documents are compressed already, or small; slices are read by offset.
ALTER TABLE documents ALTER COLUMN content SET STORAGE EXTERNAL;
COMMENT ON COLUMN documents.content IS 'as it came, followed for PAdES by the prepared update; NULL once the retention is over';
COMMENT ON COLUMN documents.fixed_for IS 'hash of the ticket for which signing time and digest were fixed';

CREATE TABLE tickets (
    hash          bytea       PRIMARY KEY,
    purpose       text        NOT NULL CONSTRAINT tickets_purpose CHECK (purpose IN ('activation', 'signature')),
    request_id    text        REFERENCES requests,
    citizen_id    text        NOT NULL REFERENCES citizens,
    credential_id text        REFERENCES credentials,
    generation    bigint      NOT NULL,
    sealed_key    bytea,
    verified      boolean     NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    spent_at      timestamptz,
    CONSTRAINT tickets_spent CHECK (spent_at IS NULL OR sealed_key IS NULL)
);
CREATE INDEX tickets_request ON tickets (request_id) WHERE spent_at IS NULL;
CREATE INDEX tickets_expiry ON tickets (expires_at);
COMMENT ON COLUMN tickets.sealed_key IS 'the sealing key under a key that only the browser''s cookie derives; deleted at first use';

CREATE TABLE challenges (
    id          text        PRIMARY KEY,
    ticket_hash bytea       NOT NULL,
    purpose     text        NOT NULL CONSTRAINT challenges_purpose CHECK (purpose IN ('activation', 'certificate', 'signature')),
    request_id  text,
    citizen_id  text        NOT NULL REFERENCES citizens,
    phone       text        NOT NULL,
    mac         bytea       NOT NULL,
    reference   text        NOT NULL,
    documents   jsonb       NOT NULL,
    attempts    integer     NOT NULL DEFAULT 0,
    state       text        NOT NULL CONSTRAINT challenges_state CHECK (state IN ('prepared', 'sent', 'failed', 'consumed', 'superseded', 'exhausted')),
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX challenges_ticket ON challenges (ticket_hash, purpose, created_at DESC);
CREATE INDEX challenges_pace ON challenges (citizen_id, purpose, created_at DESC);
COMMENT ON COLUMN challenges.mac IS 'HSM HMAC of the code and the challenge''s id';
COMMENT ON COLUMN challenges.documents IS 'the exact ordered documents that the code authorises';

CREATE TABLE authorisations (
    id            text        PRIMARY KEY,
    request_id    text        NOT NULL REFERENCES requests,
    challenge_id  text        NOT NULL CONSTRAINT authorisations_one_a_code UNIQUE REFERENCES challenges,
    credential_id text        NOT NULL REFERENCES credentials,
    generation    bigint      NOT NULL,
    serial        text        NOT NULL REFERENCES certificates,
    documents     jsonb       NOT NULL,
    state         text        NOT NULL CONSTRAINT authorisations_state CHECK (state IN ('intent', 'spent', 'failed', 'interrupted')),
    created_at    timestamptz NOT NULL,
    lease_until   timestamptz NOT NULL,
    ended_at      timestamptz,
    CONSTRAINT authorisations_ended CHECK ((state = 'intent') = (ended_at IS NULL))
);
CREATE INDEX authorisations_open ON authorisations (lease_until) WHERE state = 'intent';
CREATE INDEX authorisations_request ON authorisations (request_id);

CREATE TABLE authorities (
    name       text        PRIMARY KEY CONSTRAINT authorities_name CHECK (name IN ('root', 'issuing')),
    key_label  text        NOT NULL,
    der        bytea       NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE key_checks (
    label       text        PRIMARY KEY,
    check_value bytea       NOT NULL,
    created_at  timestamptz NOT NULL
);
COMMENT ON TABLE key_checks IS 'check values of the token''s secret keys: a token that answers otherwise is another token';

CREATE TABLE crls (
    issuer      text        NOT NULL REFERENCES authorities,
    number      bigint      NOT NULL,
    der         bytea       NOT NULL,
    this_update timestamptz NOT NULL,
    next_update timestamptz NOT NULL,
    PRIMARY KEY (issuer, number)
);

CREATE TABLE log_head (
    sole      boolean     PRIMARY KEY DEFAULT true CHECK (sole),
    size      bigint      NOT NULL CHECK (size >= 0),
    last_time timestamptz NOT NULL
);
INSERT INTO log_head (size, last_time) VALUES (0, 'epoch');
COMMENT ON TABLE log_head IS 'its one row is locked by every append: that makes the tree gap-free and in commit order';

CREATE TABLE log_hashes (
    index bigint PRIMARY KEY,
    hash  bytea  NOT NULL CHECK (length(hash) = 32)
);
COMMENT ON TABLE log_hashes IS 'RFC 6962 hashes by stored-hash index';

CREATE TABLE log_entries (
    seq       bigint      PRIMARY KEY,
    type      text        NOT NULL,
    operation text        NOT NULL,
    person    text        NOT NULL,
    at        timestamptz NOT NULL,
    leaf      bytea       NOT NULL,
    payload   bytea,
    salt      bytea
);
CREATE INDEX log_entries_operation ON log_entries (operation, seq);
CREATE INDEX log_entries_person ON log_entries (person, seq);
COMMENT ON COLUMN log_entries.salt IS 'erasing it unlinks the person and leaves the tree whole';

CREATE TABLE access_tokens (
    hash           bytea       PRIMARY KEY,
    application_id text        NOT NULL REFERENCES applications,
    scopes         text[]      NOT NULL,
    expires_at     timestamptz NOT NULL
);
CREATE INDEX access_tokens_expiry ON access_tokens (expires_at);

-- +goose Down
DROP TABLE access_tokens, log_entries, log_hashes, log_head, crls, key_checks, authorities, authorisations, challenges,
    tickets, documents, requests, return_addresses, applications, certificates, credentials, attempts, activations,
    registrations, citizens;
