-- The citizen's life: the ways to register, to prove an identity again, to keep
-- a registration and to leave; the officers' desk.

-- +goose Up

-- Citizens -------------------------------------------------------------------------

ALTER TABLE citizens
    DROP CONSTRAINT citizens_phone_unique,
    ADD COLUMN phone_changed_at timestamptz,
    ADD COLUMN associated       bytea CONSTRAINT citizens_associated CHECK (length(associated) = 32),
    ADD COLUMN notices          text  NOT NULL DEFAULT 'mail' CONSTRAINT citizens_notices CHECK (notices IN ('mail', 'sms', 'both', 'none'));
CREATE UNIQUE INDEX citizens_phone_unique ON citizens (phone) WHERE status <> 'deregistered';
CREATE UNIQUE INDEX citizens_associated_unique ON citizens (associated) WHERE status <> 'deregistered';
COMMENT ON COLUMN citizens.phone_changed_at IS 'for a while after it nothing is issued and no password is set anew';
COMMENT ON COLUMN citizens.associated IS 'SHA-256 of the certificate that the citizen logs in with, DER';
COMMENT ON COLUMN citizens.notices IS 'how the citizen is told of each signature';

ALTER TABLE registrations ADD COLUMN evidence jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN registrations.evidence IS 'what proved the identity: the certificate shown, the recording looked at, the letter answered';

CREATE TABLE associated_certificates (
    citizen_id text        PRIMARY KEY REFERENCES citizens,
    der        bytea       NOT NULL,
    subject    text        NOT NULL,
    issuer     text        NOT NULL,
    serial     text        NOT NULL,
    not_after  timestamptz NOT NULL,
    added_at   timestamptz NOT NULL
);
COMMENT ON TABLE associated_certificates IS 'what the profile shows of the certificate that citizens.associated names';

ALTER TABLE tickets
    DROP CONSTRAINT tickets_purpose,
    ADD CONSTRAINT tickets_purpose CHECK (purpose IN ('activation', 'signature', 'affairs', 'access')),
    ADD COLUMN via text NOT NULL DEFAULT '' CONSTRAINT tickets_via CHECK (via IN ('', 'password', 'pin', 'certificate', 'card'));
COMMENT ON COLUMN tickets.via IS 'how the person was identified who may see the citizen''s own pages';
ALTER TABLE challenges
    DROP CONSTRAINT challenges_purpose,
    ADD CONSTRAINT challenges_purpose CHECK (purpose IN
        ('activation', 'certificate', 'signature', 'password', 'revocation', 'suspension', 'release', 'deregistration', 'email', 'association'));
ALTER TABLE attempts
    DROP CONSTRAINT attempts_kind,
    ADD CONSTRAINT attempts_kind CHECK (kind IN ('password', 'activation', 'letter', 'card'));

-- A citizen's own history, a page at a time.
CREATE INDEX requests_history ON requests (identifier, created_at DESC, id DESC) INCLUDE (application_id);

-- What waits for a link in a mail to be followed.
CREATE TABLE pending_changes (
    hash         bytea       PRIMARY KEY,
    citizen_id   text        NOT NULL REFERENCES citizens,
    kind         text        NOT NULL CONSTRAINT pending_changes_kind CHECK (kind IN ('email', 'password')),
    value        jsonb       NOT NULL,
    box          bytea,
    seal_epoch   integer     NOT NULL,
    seal         bytea       NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL
);
CREATE UNIQUE INDEX pending_changes_one ON pending_changes (citizen_id, kind);
CREATE INDEX pending_changes_expiry ON pending_changes (expires_at);
COMMENT ON COLUMN pending_changes.hash IS 'SHA-256 of the link''s secret';

CREATE TABLE incidents (
    id         text        PRIMARY KEY,
    citizen_id text        NOT NULL REFERENCES citizens,
    request_id text,
    said       text        NOT NULL,
    opened_at  timestamptz NOT NULL,
    closed_at  timestamptz,
    closed_by  text,
    outcome    text,
    CONSTRAINT incidents_closed CHECK (num_nulls(closed_at, closed_by, outcome) IN (0, 3))
);
CREATE INDEX incidents_citizen ON incidents (citizen_id, opened_at DESC);
CREATE INDEX incidents_open ON incidents (opened_at) WHERE closed_at IS NULL;
COMMENT ON TABLE incidents IS '"this was not me": what an office has to look into';

-- Who shows a certificate, and who is on the way to a registration -------------------

CREATE TABLE presentations (
    hash       bytea       PRIMARY KEY,
    challenge  bytea       NOT NULL CHECK (length(challenge) = 32),
    identifier text        NOT NULL,
    facts      jsonb       NOT NULL,
    seal_epoch integer     NOT NULL,
    seal       bytea       NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX presentations_expiry ON presentations (expires_at);
COMMENT ON TABLE presentations IS 'certificates that were shown at the certificate door, by the hash of the code that its visitor took away';
COMMENT ON COLUMN presentations.challenge IS 'SHA-256 of what the browser holds that began it';

CREATE TABLE enrolments (
    hash         bytea       PRIMARY KEY,
    kind         text        NOT NULL CONSTRAINT enrolments_kind CHECK (kind IN ('certificate', 'letter')),
    identifier   text        NOT NULL,
    facts        jsonb       NOT NULL,
    phone        text        NOT NULL DEFAULT '',
    pepper_epoch integer     NOT NULL DEFAULT 0,
    mac          bytea,
    attempts     integer     NOT NULL DEFAULT 0,
    codes        integer     NOT NULL DEFAULT 0,
    sent_at      timestamptz,
    seal_epoch   integer     NOT NULL,
    seal         bytea       NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    spent_at     timestamptz
);
CREATE INDEX enrolments_expiry ON enrolments (expires_at);
COMMENT ON TABLE enrolments IS 'people who have proved who they are, with a certificate or a letter, and have not confirmed their mobile yet';
COMMENT ON COLUMN enrolments.mac IS 'HSM HMAC of the code that was sent to the mobile';

CREATE TABLE letters (
    id           text        PRIMARY KEY,
    identifier   text        NOT NULL,
    recipient    jsonb       NOT NULL,
    state        text        NOT NULL CONSTRAINT letters_state CHECK (state IN ('requested', 'printed', 'used', 'void')),
    pepper_epoch integer     NOT NULL DEFAULT 0,
    mac          bytea,
    requested_at timestamptz NOT NULL,
    printed_at   timestamptz,
    printed_by   jsonb,
    times        integer     NOT NULL DEFAULT 0,
    expires_at   timestamptz NOT NULL,
    seal_epoch   integer     NOT NULL,
    seal         bytea       NOT NULL,
    CONSTRAINT letters_printed CHECK (num_nulls(mac, printed_at, printed_by) IN (0, 3))
);
CREATE UNIQUE INDEX letters_one ON letters (identifier) WHERE state IN ('requested', 'printed');
CREATE INDEX letters_print ON letters (requested_at) WHERE state = 'requested';
COMMENT ON COLUMN letters.seal IS 'over whom it is for and where it goes: whoever writes the database cannot redirect it';
COMMENT ON COLUMN letters.mac IS 'HSM HMAC of the code (CSV), which exists from the moment of printing on paper alone';

CREATE TABLE pins (
    id           text        PRIMARY KEY,
    identifier   text        NOT NULL,
    citizen_id   text        REFERENCES citizens,
    pepper_epoch integer     NOT NULL,
    mac          bytea       NOT NULL,
    attempts     integer     NOT NULL DEFAULT 0,
    state        text        NOT NULL CONSTRAINT pins_state CHECK (state IN ('prepared', 'sent', 'failed', 'consumed', 'superseded')),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL
);
CREATE INDEX pins_citizen ON pins (citizen_id, created_at DESC);
CREATE INDEX pins_expiry ON pins (expires_at);
COMMENT ON COLUMN pins.mac IS 'HSM HMAC over the row, access key and PIN';
COMMENT ON COLUMN pins.citizen_id IS 'null: of somebody who asked with wrong data, and meets what all others meet';

CREATE TABLE askings (
    kind    text        NOT NULL CONSTRAINT askings_kind CHECK (kind IN ('pin', 'letter', 'letter_code', 'card_key', 'card')),
    scope   text        NOT NULL CONSTRAINT askings_scope CHECK (scope IN ('here', 'person', 'address', 'service')),
    subject text        NOT NULL,
    hour    timestamptz NOT NULL,
    n       integer     NOT NULL CHECK (n > 0),
    PRIMARY KEY (kind, scope, subject, hour)
);
CREATE INDEX askings_hour ON askings (hour);
COMMENT ON TABLE askings IS 'questions that anybody may ask about anybody, counted by the hour before they are answered, about people known or not';

CREATE TABLE cards (
    number       text        PRIMARY KEY CHECK (number ~ '^[1-9][0-9]*$'),
    identifier   text        NOT NULL,
    email        text        NOT NULL CHECK (email LIKE '%@%'),
    pepper_epoch integer     NOT NULL,
    pin_mac      bytea       NOT NULL,
    key_epoch    integer,
    key_mac      bytea,
    key_at       timestamptz,
    seal_epoch   integer     NOT NULL,
    seal         bytea       NOT NULL,
    created_at   timestamptz NOT NULL,
    disabled_at  timestamptz,
    CONSTRAINT cards_key CHECK (num_nulls(key_epoch, key_mac, key_at) IN (0, 3))
);
COMMENT ON TABLE cards IS 'municipal cards; the operations key is mailed to the card''s own address';

-- Offices and their officers ---------------------------------------------------------

CREATE TABLE office_places (
    id          text    PRIMARY KEY,
    name        text    NOT NULL,
    address     text    NOT NULL,
    postal_code text    NOT NULL CHECK (postal_code ~ '^[0-9]{5}$'),
    town        text    NOT NULL,
    province    text    NOT NULL,
    phone       text    NOT NULL DEFAULT '',
    hours       text    NOT NULL DEFAULT '',
    appointment text    NOT NULL DEFAULT '',
    latitude    double precision,
    longitude   double precision,
    name_key     text   NOT NULL,
    town_key     text   NOT NULL,
    province_key text   NOT NULL
);
COMMENT ON COLUMN office_places.town_key IS 'the town as it is compared: without accents, in lower case; likewise the other keys';
CREATE INDEX office_places_postal_code ON office_places (postal_code);
COMMENT ON TABLE office_places IS 'where citizens find an office; replaced as a whole by whoever imports the list';

ALTER TABLE office_acts DROP CONSTRAINT office_acts_act;
ALTER TABLE office_acts ADD CONSTRAINT office_acts_act CHECK (act IN
    ('register', 'renew_registration', 'renew_activation', 'change_phone', 'change_email', 'block', 'unblock', 'revoke', 'suspend', 'release',
     'deregister', 'report_death', 'present_certificate', 'print_letter', 'close_incident'));

CREATE TABLE officers (
    id          text        PRIMARY KEY,
    name        text        NOT NULL,
    role        text        NOT NULL CONSTRAINT officers_role CHECK (role IN ('officer', 'supervisor', 'administrator')),
    office      text        NOT NULL REFERENCES applications,
    certificate bytea       UNIQUE CONSTRAINT officers_certificate CHECK (length(certificate) = 32),
    secret_hash bytea       CONSTRAINT officers_secret CHECK (secret_hash IS NULL),
    created_at  timestamptz NOT NULL,
    disabled_at timestamptz
);
COMMENT ON COLUMN officers.certificate IS 'SHA-256 of the TLS client certificate, DER';
COMMENT ON COLUMN officers.secret_hash IS 'there are no programs at the desk: the table has the shape of auditors';

CREATE TABLE officer_passkeys (
    id         bytea       PRIMARY KEY,
    officer_id text        NOT NULL REFERENCES officers ON DELETE CASCADE,
    record     jsonb       NOT NULL,
    created_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE TABLE officer_invitations (
    hash       bytea       PRIMARY KEY,
    officer_id text        NOT NULL REFERENCES officers ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE TABLE officer_challenges (
    hash       bytea       PRIMARY KEY,
    record     jsonb       NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE TABLE officer_sessions (
    hash       bytea       PRIMARY KEY,
    officer_id text        NOT NULL REFERENCES officers ON DELETE CASCADE,
    purpose    text        NOT NULL DEFAULT '',
    by         text        NOT NULL CONSTRAINT officer_sessions_by CHECK (by IN ('certificate', 'passkey')),
    certificate bytea      CONSTRAINT officer_sessions_certificate CHECK (length(certificate) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX officer_sessions_expiry ON officer_sessions (expires_at);

CREATE TABLE desk_orders (
    id         text        PRIMARY KEY,
    office     text        NOT NULL REFERENCES applications,
    act        text        NOT NULL,
    identifier text        NOT NULL,
    facts      jsonb       NOT NULL,
    reason     text        NOT NULL,
    asked_by   text        NOT NULL REFERENCES officers,
    asked_at   timestamptz NOT NULL,
    state      text        NOT NULL CONSTRAINT desk_orders_state CHECK (state IN ('waiting', 'confirmed', 'rejected')),
    outcome    jsonb       NOT NULL DEFAULT '{}',
    decided_by text        REFERENCES officers,
    decided_at timestamptz,
    expires_at timestamptz NOT NULL,
    CONSTRAINT desk_orders_decided CHECK ((state = 'waiting') = (decided_by IS NULL) AND (state = 'waiting') = (decided_at IS NULL)),
    CONSTRAINT desk_orders_second CHECK (decided_by <> asked_by OR state = 'rejected')
);
CREATE INDEX desk_orders_waiting ON desk_orders (office, asked_at) WHERE state = 'waiting';
COMMENT ON TABLE desk_orders IS 'dangerous acts that wait for a second officer';
COMMENT ON COLUMN desk_orders.outcome IS 'what became of each DNI or NIE of a confirmed order: done, or the code of a refusal';

CREATE TABLE video_registrations (
    id         text        PRIMARY KEY,
    provider   text        NOT NULL REFERENCES applications,
    office     text        NOT NULL REFERENCES applications,
    identifier text        NOT NULL,
    facts      jsonb       NOT NULL,
    evidence   jsonb       NOT NULL,
    received_at timestamptz NOT NULL,
    state      text        NOT NULL CONSTRAINT video_registrations_state CHECK (state IN ('pending', 'approved', 'rejected')),
    decided_by text        REFERENCES officers,
    decided_at timestamptz,
    reason     text,
    CONSTRAINT video_registrations_decided CHECK ((state = 'pending') = (decided_at IS NULL))
);
CREATE UNIQUE INDEX video_registrations_recording ON video_registrations (provider, (evidence ->> 'recording'));
CREATE INDEX video_registrations_pending ON video_registrations (office, received_at) WHERE state = 'pending';
COMMENT ON TABLE video_registrations IS 'recordings of video identification that an officer looks at';

-- What the desk finds people by: names without marks and capitals, either way round.
CREATE FUNCTION plain_name(name text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN lower(translate(name, 'ÁÀÂÄÃÅáàâäãåÉÈÊËéèêëÍÌÎÏíìîïÓÒÔÖÕóòôöõÚÙÛÜúùûüÑñÇç', 'AAAAAAaaaaaaEEEEeeeeIIIIiiiiOOOOOoooooUUUUuuuuNnCc'));
CREATE INDEX citizens_surnames ON citizens (plain_name(surnames || ' ' || given_name) text_pattern_ops);
CREATE INDEX citizens_names ON citizens (plain_name(given_name || ' ' || surnames) text_pattern_ops);
CREATE INDEX citizens_phone ON citizens (phone);

CREATE VIEW desk_entries WITH (security_barrier) AS
SELECT seq, type, operation, at, payload
FROM log_entries
WHERE payload IS NOT NULL AND type IN (
    'registration.created', 'identity.proved', 'activation.code_issued', 'activation.done', 'password.set', 'password.changed', 'phone.changed', 'mail.changed',
    'citizen.blocked', 'citizen.unblocked', 'citizen.deregistered', 'citizen.deceased', 'key.revoked', 'key.suspended', 'key.released',
    'incident.opened', 'incident.closed', 'desk.looked_up', 'desk.ordered', 'desk.decided');
COMMENT ON VIEW desk_entries IS 'all that the desk may read of the log: what became of a registration, and who looked at it';

-- Messages ---------------------------------------------------------------------------

CREATE TABLE sms_messages (
    id          text        PRIMARY KEY,
    provider    text        NOT NULL DEFAULT '',
    provider_id text        NOT NULL DEFAULT '',
    state       text        NOT NULL CONSTRAINT sms_messages_state CHECK (state IN ('accepted', 'delivered', 'failed')),
    at          timestamptz NOT NULL
);
CREATE INDEX sms_messages_provider ON sms_messages (provider, provider_id);
CREATE INDEX sms_messages_age ON sms_messages (at);
COMMENT ON TABLE sms_messages IS 'what operators say of messages; the id is that of the code that they carry';

CREATE TABLE sms_counts (
    kind    text        NOT NULL CONSTRAINT sms_counts_kind CHECK (kind IN ('number', 'prefix', 'service')),
    subject text        NOT NULL,
    hour    timestamptz NOT NULL,
    n       integer     NOT NULL CHECK (n > 0),
    PRIMARY KEY (kind, subject, hour)
);
CREATE INDEX sms_counts_hour ON sms_counts (hour);

-- Grants -----------------------------------------------------------------------------

-- +goose StatementBegin
DO $$
BEGIN
    BEGIN CREATE ROLE rubrica_registrar LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
END
$$;
-- +goose StatementEnd

GRANT SELECT, INSERT, UPDATE, DELETE ON
    associated_certificates, pending_changes, incidents, presentations, enrolments, letters, pins, askings, cards, sms_messages, sms_counts
    TO rubrica_signer;
GRANT SELECT, INSERT, DELETE ON office_places TO rubrica_signer;
GRANT SELECT, INSERT, UPDATE ON officers TO rubrica_signer;
GRANT SELECT, INSERT, DELETE ON officer_passkeys, officer_invitations TO rubrica_signer;
GRANT SELECT, DELETE ON officer_sessions TO rubrica_signer;
GRANT SELECT ON video_registrations TO rubrica_signer;

GRANT SELECT ON associated_certificates, incidents, sms_messages, office_places TO rubrica_api;
GRANT SELECT (via) ON tickets TO rubrica_api;
GRANT SELECT (hash, kind, identifier, facts, phone, attempts, codes, sent_at, created_at, expires_at, spent_at) ON enrolments TO rubrica_api;
GRANT SELECT (hash, citizen_id, kind, created_at, expires_at) ON pending_changes TO rubrica_api;
GRANT SELECT, INSERT (id, provider, office, identifier, facts, evidence, received_at, state) ON video_registrations TO rubrica_api;

GRANT SELECT ON citizens, registrations, certificates, incidents, office_places, desk_entries TO rubrica_registrar;
GRANT SELECT (id, citizen_id, generation, state, algorithm, created_at, keeper, kek_epoch, key_label, password_at) ON credentials TO rubrica_registrar;
GRANT SELECT (id, name, organisation, scopes, enabled) ON applications TO rubrica_registrar;
GRANT SELECT (id, identifier, recipient, state, requested_at, printed_at, printed_by, expires_at) ON letters TO rubrica_registrar;
GRANT SELECT ON officers TO rubrica_registrar;
GRANT UPDATE (disabled_at) ON officers TO rubrica_registrar;
GRANT SELECT, INSERT, UPDATE, DELETE ON officer_passkeys, officer_challenges, officer_sessions TO rubrica_registrar;
GRANT SELECT, INSERT, DELETE ON officer_invitations TO rubrica_registrar;
GRANT SELECT, INSERT, UPDATE ON desk_orders TO rubrica_registrar;
GRANT SELECT ON video_registrations TO rubrica_registrar;
GRANT UPDATE (state, decided_by, decided_at, reason) ON video_registrations TO rubrica_registrar;

-- +goose Down
-- +goose StatementBegin
DO $$ BEGIN RAISE EXCEPTION 'people who registered in the new ways do not go back: restore a backup of the older version'; END $$;
-- +goose StatementEnd
