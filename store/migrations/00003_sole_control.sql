-- Keys under the citizen's sole control (DESIGN sections 4 to 6): sealed
-- records, epochs of the token's secret keys, two keepers, authorisations that
-- are stored before they are spent, and a limiter that strangers cannot turn
-- into a lock.

-- +goose Up

-- Records sealed by the token --------------------------------------------------

ALTER TABLE citizens
    ADD COLUMN version    bigint  NOT NULL DEFAULT 1 CHECK (version > 0),
    ADD COLUMN seal_epoch integer NOT NULL DEFAULT 0,
    ADD COLUMN seal       bytea   NOT NULL DEFAULT '';
COMMENT ON COLUMN citizens.version IS 'grows with each change of what is sealed; the log''s newest citizen.sealed names the one that counts';
COMMENT ON COLUMN citizens.seal IS 'HSM HMAC over person, phone, e-mail, status, registration, credential, generation and certificate';

CREATE INDEX log_entries_sealed ON log_entries (person, seq DESC) WHERE type = 'citizen.sealed';

-- Epochs of the token's secret keys --------------------------------------------

CREATE TABLE key_epochs (
    kind         text        NOT NULL CONSTRAINT key_epochs_kind CHECK (kind IN ('kek', 'pepper', 'seal')),
    epoch        integer     NOT NULL CHECK (epoch > 0),
    check_value  bytea       NOT NULL,
    created_at   timestamptz NOT NULL,
    destroyed_at timestamptz,
    PRIMARY KEY (kind, epoch)
);
COMMENT ON TABLE key_epochs IS 'the token''s secret keys, rubrica-<kind>-<epoch>; the newest of a kind is the one for new work';
COMMENT ON COLUMN key_epochs.check_value IS 'a token that answers otherwise is another token';
INSERT INTO key_epochs (kind, epoch, check_value, created_at)
SELECT split_part(label, '-', 2), split_part(label, '-', 3)::integer, check_value, created_at FROM key_checks;
DROP TABLE key_checks;

CREATE TABLE key_keeper (
    sole   boolean     PRIMARY KEY DEFAULT true CHECK (sole),
    keeper text        NOT NULL CONSTRAINT key_keeper_name CHECK (keeper IN ('sealed', 'token')),
    since  timestamptz NOT NULL
);
INSERT INTO key_keeper (keeper, since) VALUES ('sealed', 'epoch');
COMMENT ON TABLE key_keeper IS 'where new keys of citizens are kept; others move at their next use';

ALTER TABLE credentials
    ADD COLUMN keeper       text        NOT NULL DEFAULT 'sealed' CONSTRAINT credentials_keeper CHECK (keeper IN ('sealed', 'token')),
    ADD COLUMN kek_epoch    integer     NOT NULL DEFAULT 1,
    ADD COLUMN pepper_epoch integer     NOT NULL DEFAULT 1,
    ADD COLUMN key_label    text        NOT NULL DEFAULT '',
    ADD COLUMN password_at  timestamptz;
UPDATE credentials SET password_at = created_at;
ALTER TABLE credentials
    ALTER COLUMN password_at SET NOT NULL,
    ADD CONSTRAINT credentials_key_label CHECK (state <> 'usable' OR (keeper = 'token') = (key_label <> ''));
COMMENT ON COLUMN credentials.kek_epoch IS 'of the key-encryption key under which the sealed key is wrapped';
COMMENT ON COLUMN credentials.pepper_epoch IS 'of the pepper that the sealing key depends on';
COMMENT ON COLUMN credentials.key_label IS 'of the token object, keeper token';
CREATE INDEX credentials_epochs ON credentials (kek_epoch, pepper_epoch, keeper) WHERE state <> 'destroyed';

-- Whatever the token holds for one citizen, from before it is made until after
-- it is destroyed, so that a crash leaves no object that nobody knows of.
CREATE TABLE token_keys (
    label         text        PRIMARY KEY,
    credential_id text        NOT NULL REFERENCES credentials,
    state         text        NOT NULL CONSTRAINT token_keys_state CHECK (state IN ('making', 'live', 'doomed')),
    lease_until   timestamptz NOT NULL
);
CREATE INDEX token_keys_open ON token_keys (lease_until) WHERE state <> 'live';

ALTER TABLE activations ADD COLUMN pepper_epoch integer NOT NULL DEFAULT 1;

-- Tickets and codes --------------------------------------------------------------

ALTER TABLE tickets
    DROP CONSTRAINT tickets_purpose,
    ADD CONSTRAINT tickets_purpose CHECK (purpose IN ('activation', 'signature', 'password')),
    ADD COLUMN source     text    NOT NULL DEFAULT '',
    ADD COLUMN replaces   boolean NOT NULL DEFAULT false,
    ADD COLUMN seal_epoch integer NOT NULL DEFAULT 0,
    ADD COLUMN seal       bytea   NOT NULL DEFAULT '';
CREATE INDEX tickets_citizen ON tickets (citizen_id);
COMMENT ON COLUMN tickets.source IS 'network that the person came from; known ones are not paused by strangers'' guesses';
COMMENT ON COLUMN tickets.replaces IS 'the key is to be replaced before it signs again, because it is kept as it no longer should be';
COMMENT ON COLUMN tickets.seal IS 'HSM HMAC over an activation''s ticket; a signature''s authenticates itself by the key that it guards';

ALTER TABLE challenges
    DROP CONSTRAINT challenges_purpose,
    ADD CONSTRAINT challenges_purpose CHECK (purpose IN ('activation', 'certificate', 'signature', 'password')),
    ADD COLUMN pepper_epoch integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN challenges.mac IS 'HSM HMAC of the code and of everything that the code stands for';
CREATE INDEX challenges_forgettable ON challenges (expires_at) WHERE state <> 'consumed' OR purpose <> 'signature';
COMMENT ON INDEX challenges_forgettable IS 'those that authorised nothing: the others stay, one for each signature ever made';
-- Codes in flight were stored in another form.
UPDATE challenges SET state = 'superseded' WHERE state IN ('prepared', 'sent');
-- So were the tickets of activations.
DELETE FROM tickets WHERE purpose = 'activation';

-- Passwords: guesses from strange networks pause, they do not lock ----------------

ALTER TABLE attempts
    ADD COLUMN source     text        NOT NULL DEFAULT '',
    ADD COLUMN not_before timestamptz NOT NULL DEFAULT 'epoch',
    DROP CONSTRAINT attempts_pkey,
    ADD PRIMARY KEY (kind, subject, source);
COMMENT ON COLUMN attempts.source IS 'a network that the citizen has come from before, or empty: all others together';
COMMENT ON COLUMN attempts.not_before IS 'until then no attempt is compared';

CREATE TABLE familiar_sources (
    subject text        NOT NULL,
    source  text        NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (subject, source)
);
CREATE INDEX familiar_sources_age ON familiar_sources (last_at);
COMMENT ON TABLE familiar_sources IS 'networks from which an identifier has been proved, for ninety days';

-- Authorisations (SAD): consent stored before it is spent -------------------------

ALTER TABLE documents ADD COLUMN hash text NOT NULL DEFAULT '2.16.840.1.101.3.4.2.1';
-- Certificates, hashes and a signature: trying to compress them takes longer
-- than writing them.
ALTER TABLE documents ALTER COLUMN cms SET STORAGE EXTERNAL;
COMMENT ON COLUMN documents.hash IS 'OID of the hash algorithm of digest';

ALTER TABLE authorisations
    DROP CONSTRAINT authorisations_state,
    DROP CONSTRAINT authorisations_ended,
    ADD CONSTRAINT authorisations_state CHECK (state IN ('authorised', 'intent', 'spent', 'failed', 'interrupted', 'void')),
    ADD CONSTRAINT authorisations_ended CHECK ((state IN ('authorised', 'intent')) = (ended_at IS NULL)),
    ALTER COLUMN lease_until DROP NOT NULL,
    ADD COLUMN sad_hash       bytea CONSTRAINT authorisations_sad UNIQUE,
    ADD COLUMN sealed_key     bytea,
    ADD COLUMN citizen_id     text  NOT NULL DEFAULT '',
    ADD COLUMN application_id text  NOT NULL DEFAULT '',
    ADD COLUMN certificate    bytea NOT NULL DEFAULT '',
    ADD COLUMN algorithm      text  NOT NULL DEFAULT '',
    ADD COLUMN expires_at     timestamptz NOT NULL DEFAULT 'epoch',
    ADD CONSTRAINT authorisations_key CHECK ((state = 'authorised') = (sealed_key IS NOT NULL)),
    ADD CONSTRAINT authorisations_lease CHECK (state <> 'intent' OR lease_until IS NOT NULL);
CREATE INDEX authorisations_citizen ON authorisations (citizen_id) WHERE state = 'authorised';
CREATE INDEX authorisations_waiting ON authorisations (expires_at) WHERE state = 'authorised';
COMMENT ON COLUMN authorisations.sad_hash IS 'SHA-256 of the signature activation data, which only their holder has';
COMMENT ON COLUMN authorisations.sealed_key IS 'the sealing key under the SAD, with every other field as associated data: altered, it does not open';
COMMENT ON COLUMN authorisations.certificate IS 'SHA-256 of the certificate';

GRANT SELECT, INSERT, UPDATE ON key_epochs, key_keeper TO rubrica_signer;
GRANT SELECT, INSERT, UPDATE, DELETE ON token_keys, familiar_sources TO rubrica_signer;
GRANT UPDATE (hash) ON documents TO rubrica_api;
GRANT SELECT (replaces) ON tickets TO rubrica_api;
GRANT SELECT (keeper, kek_epoch, key_label, password_at) ON credentials TO rubrica_api;

-- +goose Down
-- +goose StatementBegin
DO $$ BEGIN RAISE EXCEPTION 'records that are sealed and keys that have moved do not go back: restore a backup of the older version'; END $$;
-- +goose StatementEnd
