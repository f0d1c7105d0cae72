-- What the migrations make, to read in one piece: dumped from a migrated database,
-- without the tables of goose and River. Written by
--
--     go test ./store -run TestSchema -update

CREATE TABLE access_tokens (
    hash bytea NOT NULL,
    application_id text NOT NULL,
    scopes text[] NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    grant_id text,
    jkt text,
    certificate bytea,
    sad bytea,
    revoked_at timestamp with time zone
);

COMMENT ON COLUMN access_tokens.jkt IS 'thumbprint of the key that it is bound to (RFC 9449)';

COMMENT ON COLUMN access_tokens.certificate IS 'SHA-256 of the certificate that it is bound to (RFC 8705)';

COMMENT ON COLUMN access_tokens.sad IS 'AES-256-GCM under a key that comes of the token';

CREATE TABLE activations (
    citizen_id text NOT NULL,
    mac bytea NOT NULL,
    issued_at timestamp with time zone NOT NULL,
    pepper_epoch integer DEFAULT 1 NOT NULL
);

COMMENT ON COLUMN activations.mac IS 'HSM HMAC of the activation code; the row goes when the password is set';

CREATE TABLE application_certificates (
    application_id text NOT NULL,
    sha256 bytea NOT NULL,
    der bytea NOT NULL,
    not_before timestamp with time zone NOT NULL,
    not_after timestamp with time zone NOT NULL,
    added_at timestamp with time zone NOT NULL,
    CONSTRAINT application_certificates_span CHECK ((not_before < not_after))
);

COMMENT ON TABLE application_certificates IS 'TLS certificates by which an application shows who it is, by their fingerprint (RFC 8705, section 2)';

CREATE TABLE application_keys (
    application_id text NOT NULL,
    kid text NOT NULL,
    jwk jsonb NOT NULL,
    not_before timestamp with time zone NOT NULL,
    not_after timestamp with time zone NOT NULL,
    added_at timestamp with time zone NOT NULL,
    CONSTRAINT application_keys_span CHECK ((not_before < not_after))
);

COMMENT ON TABLE application_keys IS 'public keys with which an application signs what shows who it is (private_key_jwt); several, so that they can change';

CREATE TABLE applications (
    id text NOT NULL,
    name text NOT NULL,
    organisation text NOT NULL,
    secret_hash bytea,
    scopes text[] NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone NOT NULL,
    public_key bytea,
    seal bytea,
    seal_epoch integer,
    contact text DEFAULT ''::text NOT NULL,
    switches text[] DEFAULT '{}'::text[] NOT NULL,
    doors text[] DEFAULT '{}'::text[] NOT NULL,
    formats text[] DEFAULT '{}'::text[] NOT NULL,
    levels text[] DEFAULT '{}'::text[] NOT NULL,
    calls integer,
    former_secret_hash bytea,
    former_secret_until timestamp with time zone,
    CONSTRAINT applications_calls CHECK ((calls > 0)),
    CONSTRAINT applications_doors CHECK ((doors <@ ARRAY['rest'::text, 'csc-v1'::text, 'csc-v2'::text, 'oauth'::text, 'fire'::text])),
    CONSTRAINT applications_formats CHECK ((formats <@ ARRAY['pades'::text, 'cades-detached'::text, 'cades-attached'::text, 'hash'::text])),
    CONSTRAINT applications_former_secret CHECK (((former_secret_hash IS NULL) = (former_secret_until IS NULL))),
    CONSTRAINT applications_levels CHECK ((levels <@ ARRAY['B-B'::text, 'B-T'::text, 'B-LT'::text, 'B-LTA'::text])),
    CONSTRAINT applications_office CHECK ((num_nulls(public_key, seal, seal_epoch) = ANY (ARRAY[0, 3]))),
    CONSTRAINT applications_secret CHECK (((secret_hash IS NOT NULL) OR (NOT ('secret'::text = ANY (switches))))),
    CONSTRAINT applications_switches CHECK ((switches <@ ARRAY['secret'::text, 'no-par'::text, 'no-sender-constraint'::text, 'csc-v1'::text, 'explicit'::text, 'credentials'::text]))
);

COMMENT ON COLUMN applications.id IS 'OAuth 2 client id';

COMMENT ON COLUMN applications.secret_hash IS 'SHA-256 of a secret of 256 random bits, which needs no slower hash';

COMMENT ON COLUMN applications.public_key IS 'SubjectPublicKeyInfo of the key that signs an office''s acts; without one an office cannot act';

COMMENT ON COLUMN applications.seal IS 'HSM HMAC over id, name, organisation, scopes, enabled and public_key';

COMMENT ON COLUMN applications.contact IS 'whom to tell when something is wrong';

COMMENT ON COLUMN applications.switches IS 'what of the FAPI 2.0 security profile is relaxed, and what else is off by default';

COMMENT ON COLUMN applications.doors IS 'through which it may come; empty: all. Likewise formats and levels';

COMMENT ON COLUMN applications.calls IS 'calls a second; null: what the deployment grants';

COMMENT ON COLUMN applications.former_secret_until IS 'until when the secret before the present one is good';

CREATE TABLE askings (
    kind text NOT NULL,
    scope text NOT NULL,
    subject text NOT NULL,
    hour timestamp with time zone NOT NULL,
    n integer NOT NULL,
    CONSTRAINT askings_kind CHECK ((kind = ANY (ARRAY['pin'::text, 'letter'::text, 'letter_code'::text, 'card_key'::text, 'card'::text]))),
    CONSTRAINT askings_n_check CHECK ((n > 0)),
    CONSTRAINT askings_scope CHECK ((scope = ANY (ARRAY['here'::text, 'person'::text, 'address'::text, 'service'::text])))
);

COMMENT ON TABLE askings IS 'questions that anybody may ask about anybody, counted by the hour before they are answered, about people known or not';

CREATE TABLE associated_certificates (
    citizen_id text NOT NULL,
    der bytea NOT NULL,
    subject text NOT NULL,
    issuer text NOT NULL,
    serial text NOT NULL,
    not_after timestamp with time zone NOT NULL,
    added_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE associated_certificates IS 'what the profile shows of the certificate that citizens.associated names';

CREATE TABLE attempts (
    kind text NOT NULL,
    subject text NOT NULL,
    failures integer NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    source text DEFAULT ''::text NOT NULL,
    not_before timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    CONSTRAINT attempts_failures_check CHECK ((failures > 0)),
    CONSTRAINT attempts_kind CHECK ((kind = ANY (ARRAY['password'::text, 'activation'::text, 'letter'::text, 'card'::text])))
);

COMMENT ON TABLE attempts IS 'wrong tries by identifier, known or not: counted before comparing, cleared by success';

COMMENT ON COLUMN attempts.source IS 'a network that the citizen has come from before, or empty: all others together';

COMMENT ON COLUMN attempts.not_before IS 'until then no attempt is compared';

CREATE TABLE auditor_challenges (
    hash bytea NOT NULL,
    record jsonb NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE auditor_challenges IS 'WebAuthn ceremonies under way, by the hash of what the browser holds';

CREATE TABLE auditor_invitations (
    hash bytea NOT NULL,
    auditor_id text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE auditor_invitations IS 'links by which a passkey may be added, once';

CREATE TABLE auditor_passkeys (
    id bytea NOT NULL,
    auditor_id text NOT NULL,
    record jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);

COMMENT ON TABLE auditor_passkeys IS 'WebAuthn credentials: public keys, counters, flags';

CREATE TABLE auditor_sessions (
    hash bytea NOT NULL,
    auditor_id text NOT NULL,
    purpose text DEFAULT ''::text NOT NULL,
    by text NOT NULL,
    certificate bytea,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT auditor_sessions_by CHECK ((by = ANY (ARRAY['certificate'::text, 'passkey'::text, 'token'::text]))),
    CONSTRAINT auditor_sessions_certificate CHECK ((length(certificate) = 32))
);

COMMENT ON COLUMN auditor_sessions.purpose IS 'why the auditor asks, in their words; each query is logged with it';

COMMENT ON COLUMN auditor_sessions.by IS 'how the identity was proved; a token is a program''s, the others belong to a cookie';

COMMENT ON COLUMN auditor_sessions.certificate IS 'SHA-256 of the TLS client certificate that it is bound to (RFC 8705, section 3)';

CREATE TABLE auditors (
    id text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    certificate bytea,
    secret_hash bytea,
    created_at timestamp with time zone NOT NULL,
    disabled_at timestamp with time zone,
    CONSTRAINT auditors_certificate CHECK ((length(certificate) = 32)),
    CONSTRAINT auditors_programs CHECK (((secret_hash IS NULL) OR (role = 'auditor'::text))),
    CONSTRAINT auditors_role CHECK ((role = ANY (ARRAY['auditor'::text, 'administrator'::text]))),
    CONSTRAINT auditors_secret CHECK ((length(secret_hash) = 32))
);

COMMENT ON COLUMN auditors.certificate IS 'SHA-256 of the TLS client certificate, DER';

COMMENT ON COLUMN auditors.secret_hash IS 'of a program that asks by itself, with the scope audit';

CREATE TABLE augmentations (
    request_id text NOT NULL,
    ordinal integer NOT NULL,
    level text NOT NULL,
    lacking text DEFAULT ''::text NOT NULL,
    cms bytea NOT NULL,
    tail bytea DEFAULT '\x'::bytea NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT augmentations_level CHECK ((level = ANY (ARRAY['B-B'::text, 'B-T'::text, 'B-LT'::text, 'B-LTA'::text])))
);
ALTER TABLE ONLY augmentations ALTER COLUMN cms SET STORAGE EXTERNAL;
ALTER TABLE ONLY augmentations ALTER COLUMN tail SET STORAGE EXTERNAL;

COMMENT ON TABLE augmentations IS 'signatures with what brought them above B-B, or was to';

COMMENT ON COLUMN augmentations.level IS 'level that is reached';

COMMENT ON COLUMN augmentations.lacking IS 'refusal for which it is not higher';

COMMENT ON COLUMN augmentations.cms IS 'the signature with its unsigned attributes';

COMMENT ON COLUMN augmentations.tail IS 'what follows the signed PDF: validation data, document time-stamps';

CREATE TABLE authorisations (
    id text NOT NULL,
    request_id text NOT NULL,
    challenge_id text NOT NULL,
    credential_id text NOT NULL,
    generation bigint NOT NULL,
    serial text NOT NULL,
    documents jsonb NOT NULL,
    state text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    lease_until timestamp with time zone,
    ended_at timestamp with time zone,
    sad_hash bytea,
    sealed_key bytea,
    citizen_id text DEFAULT ''::text NOT NULL,
    application_id text DEFAULT ''::text NOT NULL,
    certificate bytea DEFAULT '\x'::bytea NOT NULL,
    algorithm text DEFAULT ''::text NOT NULL,
    expires_at timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    CONSTRAINT authorisations_ended CHECK (((state = ANY (ARRAY['authorised'::text, 'intent'::text])) = (ended_at IS NULL))),
    CONSTRAINT authorisations_key CHECK (((state = 'authorised'::text) = (sealed_key IS NOT NULL))),
    CONSTRAINT authorisations_lease CHECK (((state <> 'intent'::text) OR (lease_until IS NOT NULL))),
    CONSTRAINT authorisations_state CHECK ((state = ANY (ARRAY['authorised'::text, 'intent'::text, 'spent'::text, 'failed'::text, 'interrupted'::text, 'void'::text])))
);

COMMENT ON COLUMN authorisations.sad_hash IS 'SHA-256 of the signature activation data, which only their holder has';

COMMENT ON COLUMN authorisations.sealed_key IS 'the sealing key under the SAD, with every other field as associated data: altered, it does not open';

COMMENT ON COLUMN authorisations.certificate IS 'SHA-256 of the certificate';

CREATE TABLE authorities (
    name text NOT NULL,
    key_label text NOT NULL,
    der bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    role text NOT NULL,
    generation integer NOT NULL,
    token text DEFAULT 'service'::text NOT NULL,
    issuer text NOT NULL,
    shard text,
    retired_at timestamp with time zone,
    revoked_at timestamp with time zone,
    reason integer,
    CONSTRAINT authorities_generation_check CHECK ((generation > 0)),
    CONSTRAINT authorities_reason CHECK (((revoked_at IS NULL) = (reason IS NULL))),
    CONSTRAINT authorities_role CHECK ((role = ANY (ARRAY['root'::text, 'issuing'::text, 'ocsp'::text, 'tsa'::text]))),
    CONSTRAINT authorities_token CHECK ((token = ANY (ARRAY['service'::text, 'root'::text])))
);

COMMENT ON TABLE authorities IS 'certificates of the hierarchy and of its services: root, issuing-1, ocsp-1 (of issuing-1), tsa-1 …';

COMMENT ON COLUMN authorities.token IS 'where the private key is: the root''s is off line';

COMMENT ON COLUMN authorities.shard IS 'revocation list that the certificate names; none but a TSA''s names one of the issuing authority''s';

COMMENT ON COLUMN authorities.retired_at IS 'since when nothing new is done with the key';

CREATE TABLE cards (
    number text NOT NULL,
    identifier text NOT NULL,
    email text NOT NULL,
    pepper_epoch integer NOT NULL,
    pin_mac bytea NOT NULL,
    key_epoch integer,
    key_mac bytea,
    key_at timestamp with time zone,
    seal_epoch integer NOT NULL,
    seal bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    disabled_at timestamp with time zone,
    CONSTRAINT cards_email_check CHECK ((email ~~ '%@%'::text)),
    CONSTRAINT cards_key CHECK ((num_nulls(key_epoch, key_mac, key_at) = ANY (ARRAY[0, 3]))),
    CONSTRAINT cards_number_check CHECK ((number ~ '^[1-9][0-9]*$'::text))
);

COMMENT ON TABLE cards IS 'municipal cards; the operations key is mailed to the card''s own address';

CREATE TABLE ceremony_steps (
    step text NOT NULL,
    done_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE ceremony_steps IS 'what has been done of key ceremonies, so that an interrupted one goes on; what was done stands in the log';

CREATE TABLE certificate_changes (
    seq bigint NOT NULL,
    serial text NOT NULL,
    issuer text NOT NULL,
    shard text NOT NULL,
    at timestamp with time zone NOT NULL
);

COMMENT ON TABLE certificate_changes IS 'issued, revoked, suspended, released: written while the log''s head is locked, so that seq is the order of the commits; forgotten after a day';

ALTER TABLE certificate_changes ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME certificate_changes_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE certificates (
    serial text NOT NULL,
    credential_id text NOT NULL,
    state text NOT NULL,
    der bytea,
    not_before timestamp with time zone NOT NULL,
    not_after timestamp with time zone NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    request_id text,
    revoked_at timestamp with time zone,
    reason integer,
    issuer text NOT NULL,
    shard text NOT NULL,
    status_version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT certificates_der CHECK (((state = 'issued'::text) = (der IS NOT NULL))),
    CONSTRAINT certificates_reason CHECK (((revoked_at IS NULL) = (reason IS NULL))),
    CONSTRAINT certificates_state CHECK ((state = ANY (ARRAY['intent'::text, 'issued'::text, 'interrupted'::text])))
);

COMMENT ON COLUMN certificates.reason IS 'CRLReason, RFC 5280 section 5.3.1';

COMMENT ON COLUMN certificates.status_version IS 'grows with each revocation, suspension and release; a kept OCSP answer is good for its own only';

CREATE TABLE challenges (
    id text NOT NULL,
    ticket_hash bytea NOT NULL,
    purpose text NOT NULL,
    request_id text,
    citizen_id text NOT NULL,
    phone text NOT NULL,
    mac bytea NOT NULL,
    reference text NOT NULL,
    documents jsonb NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    state text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    pepper_epoch integer DEFAULT 1 NOT NULL,
    application_id text,
    CONSTRAINT challenges_purpose CHECK ((purpose = ANY (ARRAY['activation'::text, 'certificate'::text, 'signature'::text, 'password'::text, 'revocation'::text, 'suspension'::text, 'release'::text, 'deregistration'::text, 'email'::text, 'association'::text]))),
    CONSTRAINT challenges_state CHECK ((state = ANY (ARRAY['prepared'::text, 'sent'::text, 'failed'::text, 'consumed'::text, 'superseded'::text, 'exhausted'::text])))
);

COMMENT ON COLUMN challenges.mac IS 'HSM HMAC of the code and of everything that the code stands for';

COMMENT ON COLUMN challenges.documents IS 'the exact ordered documents that the code authorises';

COMMENT ON COLUMN challenges.application_id IS 'who has asked for what it confirms; null: the citizen alone';

CREATE TABLE citizens (
    id text NOT NULL,
    identifier text NOT NULL,
    given_name text NOT NULL,
    surnames text NOT NULL,
    phone text NOT NULL,
    email text NOT NULL,
    locale text NOT NULL,
    status text NOT NULL,
    document_until date NOT NULL,
    created_at timestamp with time zone NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    seal_epoch integer DEFAULT 0 NOT NULL,
    seal bytea DEFAULT '\x'::bytea NOT NULL,
    phone_changed_at timestamp with time zone,
    associated bytea,
    notices text DEFAULT 'mail'::text NOT NULL,
    CONSTRAINT citizens_associated CHECK ((length(associated) = 32)),
    CONSTRAINT citizens_email_check CHECK (((email ~~ '%@%'::text) OR (status = ANY (ARRAY['deregistered'::text, 'deceased'::text])))),
    CONSTRAINT citizens_given_name_check CHECK (((given_name <> ''::text) OR (status = ANY (ARRAY['deregistered'::text, 'deceased'::text])))),
    CONSTRAINT citizens_notices CHECK ((notices = ANY (ARRAY['mail'::text, 'sms'::text, 'both'::text, 'none'::text]))),
    CONSTRAINT citizens_phone_check CHECK (((phone ~~ '+%'::text) OR (status = ANY (ARRAY['deregistered'::text, 'deceased'::text])))),
    CONSTRAINT citizens_status CHECK ((status = ANY (ARRAY['registered'::text, 'active'::text, 'blocked'::text, 'deregistered'::text, 'deceased'::text]))),
    CONSTRAINT citizens_version_check CHECK ((version > 0))
);

COMMENT ON COLUMN citizens.identifier IS 'DNI or NIE, normalised: no blanks, capital letters';

COMMENT ON COLUMN citizens.phone IS 'E.164; one DNI/NIE per mobile';

COMMENT ON COLUMN citizens.document_until IS 'validity date of the DNI or NIE';

COMMENT ON COLUMN citizens.version IS 'grows with each change of what is sealed; the log''s newest citizen.sealed names the one that counts';

COMMENT ON COLUMN citizens.seal IS 'HSM HMAC over person, phone, e-mail, status, registration, credential, generation and certificate';

COMMENT ON COLUMN citizens.phone_changed_at IS 'for a while after it nothing is issued and no password is set anew';

COMMENT ON COLUMN citizens.associated IS 'SHA-256 of the certificate that the citizen logs in with, DER';

COMMENT ON COLUMN citizens.notices IS 'how the citizen is told of each signature';

CREATE TABLE content_pieces (
    content_id text NOT NULL,
    n integer NOT NULL,
    data bytea NOT NULL,
    CONSTRAINT content_pieces_n_check CHECK ((n >= 0))
);
ALTER TABLE ONLY content_pieces ALTER COLUMN data SET STORAGE EXTERNAL;

COMMENT ON TABLE content_pieces IS 'a content in pieces of a megabyte, in order';

CREATE TABLE contents (
    id text NOT NULL,
    application_id text NOT NULL,
    size bigint,
    sha256 bytea,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT contents_arrived CHECK (((size IS NULL) = (sha256 IS NULL))),
    CONSTRAINT contents_size_check CHECK ((size > 0))
);

COMMENT ON TABLE contents IS 'documents as they came, until the retention is over; one that no request uses is forgotten after a day';

COMMENT ON COLUMN contents.sha256 IS 'NULL while the content arrives, as its size';

CREATE TABLE credentials (
    id text NOT NULL,
    citizen_id text NOT NULL,
    generation bigint NOT NULL,
    state text NOT NULL,
    algorithm text DEFAULT ''::text NOT NULL,
    public_key bytea,
    salt bytea NOT NULL,
    argon_memory_kib integer NOT NULL,
    argon_passes integer NOT NULL,
    argon_lanes integer NOT NULL,
    box bytea,
    created_at timestamp with time zone NOT NULL,
    keeper text DEFAULT 'sealed'::text NOT NULL,
    kek_epoch integer DEFAULT 1 NOT NULL,
    pepper_epoch integer DEFAULT 1 NOT NULL,
    key_label text DEFAULT ''::text NOT NULL,
    password_at timestamp with time zone NOT NULL,
    CONSTRAINT credentials_argon_lanes_check CHECK ((argon_lanes > 0)),
    CONSTRAINT credentials_argon_memory_kib_check CHECK ((argon_memory_kib > 0)),
    CONSTRAINT credentials_argon_passes_check CHECK ((argon_passes > 0)),
    CONSTRAINT credentials_box CHECK (((state = 'destroyed'::text) = (box IS NULL))),
    CONSTRAINT credentials_generation_check CHECK ((generation > 0)),
    CONSTRAINT credentials_keeper CHECK ((keeper = ANY (ARRAY['sealed'::text, 'token'::text]))),
    CONSTRAINT credentials_key CHECK (((state <> 'usable'::text) OR (public_key IS NOT NULL))),
    CONSTRAINT credentials_key_label CHECK (((state <> 'usable'::text) OR ((keeper = 'token'::text) = (key_label <> ''::text)))),
    CONSTRAINT credentials_state CHECK ((state = ANY (ARRAY['empty'::text, 'usable'::text, 'destroyed'::text])))
);

COMMENT ON COLUMN credentials.box IS 'nonce and AES-256-GCM under the key that password and HSM derive together; over an empty payload until there is a key';

COMMENT ON COLUMN credentials.kek_epoch IS 'of the key-encryption key under which the sealed key is wrapped';

COMMENT ON COLUMN credentials.pepper_epoch IS 'of the pepper that the sealing key depends on';

COMMENT ON COLUMN credentials.key_label IS 'of the token object, keeper token';

CREATE TABLE crl_shards (
    name text NOT NULL,
    issuer text NOT NULL,
    year integer DEFAULT 0 NOT NULL,
    ordinal integer DEFAULT 0 NOT NULL,
    issued integer DEFAULT 0 NOT NULL,
    ends_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE crl_shards IS 'revocation lists, /ca/<name>.crl: one a year of issue and issuing authority, and the next when it is full';

COMMENT ON COLUMN crl_shards.issued IS 'certificates that name it';

COMMENT ON COLUMN crl_shards.ends_at IS 'when the last of them has expired';

CREATE TABLE crls (
    shard text NOT NULL,
    number bigint NOT NULL,
    der bytea NOT NULL,
    this_update timestamp with time zone NOT NULL,
    next_update timestamp with time zone NOT NULL,
    digest bytea
);

COMMENT ON COLUMN crls.digest IS 'of what the list says, without its dates';

CREATE TABLE log_entries (
    seq bigint NOT NULL,
    type text NOT NULL,
    operation text NOT NULL,
    person text NOT NULL,
    at timestamp with time zone NOT NULL,
    leaf bytea NOT NULL,
    payload bytea,
    salt bytea
);

COMMENT ON COLUMN log_entries.salt IS 'erasing it unlinks the person and leaves the tree whole';

CREATE VIEW desk_entries WITH (security_barrier='true') AS
 SELECT log_entries.seq,
    log_entries.type,
    log_entries.operation,
    log_entries.at,
    log_entries.payload
   FROM log_entries
  WHERE ((log_entries.payload IS NOT NULL) AND (log_entries.type = ANY (ARRAY['registration.created'::text, 'identity.proved'::text, 'activation.code_issued'::text, 'activation.done'::text, 'password.set'::text, 'password.changed'::text, 'phone.changed'::text, 'mail.changed'::text, 'citizen.blocked'::text, 'citizen.unblocked'::text, 'citizen.deregistered'::text, 'citizen.deceased'::text, 'citizen.death_corrected'::text, 'key.revoked'::text, 'key.suspended'::text, 'key.released'::text, 'incident.opened'::text, 'incident.closed'::text, 'desk.looked_up'::text, 'desk.ordered'::text, 'desk.decided'::text])));

COMMENT ON VIEW desk_entries IS 'all that the desk may read of the log: what became of a registration, and who looked at it';

CREATE TABLE desk_orders (
    id text NOT NULL,
    office text NOT NULL,
    act text NOT NULL,
    identifier text NOT NULL,
    facts jsonb NOT NULL,
    reason text NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamp with time zone NOT NULL,
    state text NOT NULL,
    outcome jsonb DEFAULT '{}'::jsonb NOT NULL,
    decided_by text,
    decided_at timestamp with time zone,
    expires_at timestamp with time zone NOT NULL,
    turn text,
    turn_until timestamp with time zone,
    CONSTRAINT desk_orders_decided CHECK ((((state = 'waiting'::text) = (decided_by IS NULL)) AND ((state = 'waiting'::text) = (decided_at IS NULL)))),
    CONSTRAINT desk_orders_second CHECK (((decided_by <> asked_by) OR (state = 'rejected'::text))),
    CONSTRAINT desk_orders_state CHECK ((state = ANY (ARRAY['waiting'::text, 'confirmed'::text, 'rejected'::text]))),
    CONSTRAINT desk_orders_turn CHECK (((turn IS NULL) = (turn_until IS NULL)))
);

COMMENT ON TABLE desk_orders IS 'dangerous acts that wait for a second officer';

COMMENT ON COLUMN desk_orders.outcome IS 'what became of each DNI or NIE of a confirmed order: done, or the code of a refusal';

COMMENT ON COLUMN desk_orders.turn IS 'whoever is deciding about it or carrying it out now, until turn_until';

CREATE TABLE documents (
    request_id text NOT NULL,
    ordinal integer NOT NULL,
    name text NOT NULL,
    media_type text NOT NULL,
    format text NOT NULL,
    size bigint NOT NULL,
    sha256 bytea NOT NULL,
    pages integer DEFAULT 0 NOT NULL,
    layout jsonb,
    signing_time timestamp with time zone,
    digest bytea,
    fixed_for bytea,
    cms bytea,
    hash text DEFAULT '2.16.840.1.101.3.4.2.1'::text NOT NULL,
    content_id text,
    update bytea,
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    findings text[] DEFAULT '{}'::text[] NOT NULL,
    level text DEFAULT 'B-B'::text NOT NULL,
    given bytea,
    revision integer DEFAULT 0 NOT NULL,
    prefix bytea,
    built text,
    CONSTRAINT documents_built CHECK (((built IS NULL) OR ((format = 'hash'::text) AND (built = ANY (ARRAY['pades'::text, 'cades-detached'::text, 'cades-attached'::text]))))),
    CONSTRAINT documents_fixed CHECK ((((digest IS NULL) = (signing_time IS NULL)) AND ((digest IS NULL) = (fixed_for IS NULL)))),
    CONSTRAINT documents_format CHECK ((format = ANY (ARRAY['pades'::text, 'cades-detached'::text, 'cades-attached'::text, 'hash'::text]))),
    CONSTRAINT documents_given CHECK (((format <> 'hash'::text) OR (given IS NOT NULL))),
    CONSTRAINT documents_given_fixed CHECK (((given IS NULL) OR (digest IS NULL) OR (digest = given))),
    CONSTRAINT documents_layout CHECK (((format = 'hash'::text) OR ((format = 'pades'::text) = (layout IS NOT NULL)))),
    CONSTRAINT documents_level CHECK ((level = ANY (ARRAY['B-B'::text, 'B-T'::text, 'B-LT'::text, 'B-LTA'::text]))),
    CONSTRAINT documents_ordinal_check CHECK ((ordinal > 0)),
    CONSTRAINT documents_prefix CHECK (((prefix IS NULL) OR (revision > 0))),
    CONSTRAINT documents_revision_check CHECK ((revision >= 0)),
    CONSTRAINT documents_size_check CHECK ((size > 0))
);
ALTER TABLE ONLY documents ALTER COLUMN cms SET STORAGE EXTERNAL;
ALTER TABLE ONLY documents ALTER COLUMN prefix SET STORAGE EXTERNAL;

COMMENT ON COLUMN documents.fixed_for IS 'hash of the ticket for which signing time and digest were fixed';

COMMENT ON COLUMN documents.cms IS 'the signature as it was made: CMS, or of a hash the bare value';

COMMENT ON COLUMN documents.hash IS 'OID of the hash algorithm of digest';

COMMENT ON COLUMN documents.update IS 'what a prepared signature appends to a PDF, its hole empty; NULL for CAdES and once the retention is over';

COMMENT ON COLUMN documents.options IS 'how the signature in a PDF is to look';

COMMENT ON COLUMN documents.attributes IS 'optional signed attributes';

COMMENT ON COLUMN documents.findings IS 'what an inspection found and let pass';

COMMENT ON COLUMN documents.level IS 'baseline level that was asked for';

COMMENT ON COLUMN documents.given IS 'a hash, of the algorithm of hash, that came in the place of the document';

COMMENT ON COLUMN documents.revision IS 'how many signatures of its envelope stand in a PDF before this one';

COMMENT ON COLUMN documents.prefix IS 'what they have appended to it; NULL once the retention is over';

COMMENT ON COLUMN documents.built IS 'what was built around a hash and waits to be fetched, once; NULL before and after, and once the retention is over';

CREATE TABLE enrolments (
    hash bytea NOT NULL,
    kind text NOT NULL,
    identifier text NOT NULL,
    facts jsonb NOT NULL,
    phone text DEFAULT ''::text NOT NULL,
    pepper_epoch integer DEFAULT 0 NOT NULL,
    mac bytea,
    attempts integer DEFAULT 0 NOT NULL,
    codes integer DEFAULT 0 NOT NULL,
    sent_at timestamp with time zone,
    seal_epoch integer NOT NULL,
    seal bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    spent_at timestamp with time zone,
    CONSTRAINT enrolments_kind CHECK ((kind = ANY (ARRAY['certificate'::text, 'letter'::text])))
);

COMMENT ON TABLE enrolments IS 'people who have proved who they are, with a certificate or a letter, and have not confirmed their mobile yet';

COMMENT ON COLUMN enrolments.mac IS 'HSM HMAC of the code that was sent to the mobile';

CREATE TABLE envelope_signers (
    envelope_id text NOT NULL,
    "position" integer NOT NULL,
    identifier text NOT NULL,
    title text NOT NULL,
    locale text NOT NULL,
    options jsonb NOT NULL,
    request_id text,
    CONSTRAINT envelope_signers_position_check CHECK ((("position" >= 1) AND ("position" <= 20)))
);

COMMENT ON COLUMN envelope_signers.options IS 'how the signature is to look in each document, in their order';

COMMENT ON COLUMN envelope_signers.request_id IS 'NULL while it is not this signer''s turn';

CREATE TABLE envelopes (
    id text NOT NULL,
    application_id text NOT NULL,
    idempotency_key text NOT NULL,
    body_hash bytea NOT NULL,
    title text NOT NULL,
    ordering text NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    CONSTRAINT envelopes_closed CHECK (((state = 'pending'::text) = (closed_at IS NULL))),
    CONSTRAINT envelopes_ordering CHECK ((ordering = ANY (ARRAY['parallel'::text, 'sequential'::text]))),
    CONSTRAINT envelopes_state CHECK ((state = ANY (ARRAY['pending'::text, 'completed'::text, 'rejected'::text, 'expired'::text, 'cancelled'::text])))
);

COMMENT ON TABLE envelopes IS 'documents that several citizens sign';

CREATE TABLE familiar_sources (
    subject text NOT NULL,
    source text NOT NULL,
    last_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE familiar_sources IS 'networks from which an identifier has been proved, for ninety days';

CREATE TABLE handed_out (
    request_id text NOT NULL,
    ordinal integer NOT NULL,
    at timestamp with time zone NOT NULL
);

COMMENT ON TABLE handed_out IS 'signatures over hashes that have been handed out, each once';

CREATE TABLE incidents (
    id text NOT NULL,
    citizen_id text NOT NULL,
    request_id text,
    said text NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    closed_by text,
    outcome text,
    CONSTRAINT incidents_closed CHECK ((num_nulls(closed_at, closed_by, outcome) = ANY (ARRAY[0, 3])))
);

COMMENT ON TABLE incidents IS '"this was not me": what an office has to look into';

CREATE TABLE key_epochs (
    kind text NOT NULL,
    epoch integer NOT NULL,
    check_value bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    destroyed_at timestamp with time zone,
    CONSTRAINT key_epochs_epoch_check CHECK ((epoch > 0)),
    CONSTRAINT key_epochs_kind CHECK ((kind = ANY (ARRAY['kek'::text, 'pepper'::text, 'seal'::text])))
);

COMMENT ON TABLE key_epochs IS 'the token''s secret keys, rubrica-<kind>-<epoch>; the newest of a kind is the one for new work';

COMMENT ON COLUMN key_epochs.check_value IS 'a token that answers otherwise is another token';

CREATE TABLE key_keeper (
    sole boolean DEFAULT true NOT NULL,
    keeper text NOT NULL,
    since timestamp with time zone NOT NULL,
    CONSTRAINT key_keeper_name CHECK ((keeper = ANY (ARRAY['sealed'::text, 'token'::text]))),
    CONSTRAINT key_keeper_sole_check CHECK (sole)
);

COMMENT ON TABLE key_keeper IS 'where new keys of citizens are kept; others move at their next use';

CREATE TABLE letters (
    id text NOT NULL,
    identifier text NOT NULL,
    recipient jsonb NOT NULL,
    state text NOT NULL,
    pepper_epoch integer DEFAULT 0 NOT NULL,
    mac bytea,
    requested_at timestamp with time zone NOT NULL,
    printed_at timestamp with time zone,
    printed_by jsonb,
    times integer DEFAULT 0 NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    seal_epoch integer NOT NULL,
    seal bytea NOT NULL,
    CONSTRAINT letters_printed CHECK ((num_nulls(mac, printed_at, printed_by) = ANY (ARRAY[0, 3]))),
    CONSTRAINT letters_state CHECK ((state = ANY (ARRAY['requested'::text, 'printed'::text, 'used'::text, 'void'::text])))
);

COMMENT ON COLUMN letters.mac IS 'HSM HMAC of the code (CSV), which exists from the moment of printing on paper alone';

COMMENT ON COLUMN letters.seal IS 'over whom it is for and where it goes: whoever writes the database cannot redirect it';

CREATE TABLE log_checkpoints (
    origin text NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    signed_at timestamp with time zone NOT NULL,
    witnessed_at timestamp with time zone,
    "timestamp" bytea,
    CONSTRAINT log_checkpoints_root_check CHECK ((length(root) = 32)),
    CONSTRAINT log_checkpoints_size_check CHECK ((size >= 0))
);

COMMENT ON COLUMN log_checkpoints.note IS 'C2SP signed note: the log''s signature, then cosignatures';

COMMENT ON COLUMN log_checkpoints.witnessed_at IS 'when the witnesses'' quorum was reached';

COMMENT ON COLUMN log_checkpoints."timestamp" IS 'RFC 3161 token over the note as the log signed it';

CREATE TABLE log_hashes (
    index bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT log_hashes_hash_check CHECK ((length(hash) = 32))
);

COMMENT ON TABLE log_hashes IS 'RFC 6962 hashes by stored-hash index';

CREATE TABLE log_head (
    sole boolean DEFAULT true NOT NULL,
    size bigint NOT NULL,
    last_time timestamp with time zone NOT NULL,
    edge bytea[] DEFAULT '{}'::bytea[] NOT NULL,
    totalled bigint DEFAULT 0 NOT NULL,
    CONSTRAINT log_head_size_check CHECK ((size >= 0)),
    CONSTRAINT log_head_sole_check CHECK (sole)
);

COMMENT ON TABLE log_head IS 'its one row is locked by every append: that makes the tree gap-free and in commit order';

COMMENT ON COLUMN log_head.edge IS 'roots of the complete subtrees that the entries form, from left to right: what the next append needs, and no hash has to be read for it';

CREATE TABLE log_terms (
    kind text NOT NULL,
    value text NOT NULL,
    seq bigint NOT NULL,
    CONSTRAINT log_terms_kind CHECK ((kind = ANY (ARRAY['application'::text, 'certificate'::text, 'citizen'::text, 'document'::text, 'reason'::text])))
);

COMMENT ON TABLE log_terms IS 'by what entries are found, beside operation, person, type and time; derived from the payloads, and gone with them';

CREATE TABLE log_totals (
    day date NOT NULL,
    type text NOT NULL,
    application text NOT NULL,
    reason text NOT NULL,
    n bigint NOT NULL,
    seconds bigint DEFAULT 0 NOT NULL
);

COMMENT ON TABLE log_totals IS 'entries by day (UTC), for plots; derived, and counted up to log_head.totalled';

COMMENT ON COLUMN log_totals.seconds IS 'sum of the times that the entries tell, such as from code to confirmation';

CREATE TABLE log_trees (
    origin text NOT NULL,
    key text NOT NULL,
    begun_at timestamp with time zone NOT NULL,
    begun bigint NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT log_trees_begun_check CHECK ((begun >= 0))
);

COMMENT ON TABLE log_trees IS 'names under which the tree was published; a new one begins when entries were lost that a witness had seen';

COMMENT ON COLUMN log_trees.key IS 'verifier key (C2SP signed-note)';

COMMENT ON COLUMN log_trees.begun IS 'size of the log when the name was taken';

CREATE TABLE oauth_grants (
    id text NOT NULL,
    application_id text NOT NULL,
    session bytea,
    subject text,
    request_id text,
    credential_id text,
    scopes text[] NOT NULL,
    code bytea,
    code_used_at timestamp with time zone,
    refreshable boolean NOT NULL,
    refresh bytea,
    sad bytea,
    sad_expires_at timestamp with time zone,
    data jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    expires_at timestamp with time zone NOT NULL,
    consent_id text,
    spent_at timestamp with time zone
);

COMMENT ON TABLE oauth_grants IS 'what was granted to an application: by a citizen, or to itself';

COMMENT ON COLUMN oauth_grants.session IS 'SHA-256 of the session that it came of';

COMMENT ON COLUMN oauth_grants.subject IS 'the citizen; null: the application itself';

COMMENT ON COLUMN oauth_grants.code IS 'SHA-256, as refresh';

COMMENT ON COLUMN oauth_grants.sad IS 'AES-256-GCM under a key that comes of the code';

COMMENT ON COLUMN oauth_grants.expires_at IS 'when nothing of it is left to be used';

COMMENT ON COLUMN oauth_grants.consent_id IS 'the consent that it rests on: with it, it ends';

COMMENT ON COLUMN oauth_grants.spent_at IS 'when its application asked for the one answer that it is good for (scopes credential_creation and credential_deletion)';

CREATE TABLE oauth_proofs (
    hash bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE oauth_proofs IS 'identifiers of assertions and proofs that were shown, so that none is twice';

CREATE TABLE oauth_sessions (
    hash bytea NOT NULL,
    request_uri bytea,
    application_id text NOT NULL,
    request_id text,
    subject text,
    data jsonb NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    ended_at timestamp with time zone
);

COMMENT ON TABLE oauth_sessions IS 'authorisation requests on their way';

COMMENT ON COLUMN oauth_sessions.hash IS 'SHA-256 of the session''s address';

COMMENT ON COLUMN oauth_sessions.request_uri IS 'SHA-256 of what a pushed request is asked for by (RFC 9126)';

COMMENT ON COLUMN oauth_sessions.request_id IS 'what the citizen signs (scope credential)';

COMMENT ON COLUMN oauth_sessions.used_at IS 'when the request URI was shown: a second time revokes';

CREATE TABLE ocsp_answers (
    serial text NOT NULL,
    status_version bigint NOT NULL,
    der bytea NOT NULL,
    this_update timestamp with time zone NOT NULL,
    next_update timestamp with time zone NOT NULL
);

CREATE TABLE office_acts (
    office text NOT NULL,
    jti text NOT NULL,
    act text NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT office_acts_act CHECK ((act = ANY (ARRAY['register'::text, 'renew_registration'::text, 'renew_activation'::text, 'change_phone'::text, 'change_email'::text, 'block'::text, 'unblock'::text, 'revoke'::text, 'suspend'::text, 'release'::text, 'deregister'::text, 'report_death'::text, 'correct_death'::text, 'present_certificate'::text, 'print_letter'::text, 'close_incident'::text, 'change_application'::text])))
);

COMMENT ON TABLE office_acts IS 'written before the act is carried out: none is carried out twice; forgotten when no act of that age is accepted any more';

CREATE TABLE office_places (
    id text NOT NULL,
    name text NOT NULL,
    address text NOT NULL,
    postal_code text NOT NULL,
    town text NOT NULL,
    province text NOT NULL,
    phone text DEFAULT ''::text NOT NULL,
    hours text DEFAULT ''::text NOT NULL,
    appointment text DEFAULT ''::text NOT NULL,
    latitude double precision,
    longitude double precision,
    name_key text NOT NULL,
    town_key text NOT NULL,
    province_key text NOT NULL,
    CONSTRAINT office_places_postal_code_check CHECK ((postal_code ~ '^[0-9]{5}$'::text))
);

COMMENT ON TABLE office_places IS 'where citizens find an office; replaced as a whole by whoever imports the list';

COMMENT ON COLUMN office_places.town_key IS 'the town as it is compared: without accents, in lower case; likewise the other keys';

CREATE TABLE officer_challenges (
    hash bytea NOT NULL,
    record jsonb NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE officer_invitations (
    hash bytea NOT NULL,
    officer_id text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE officer_passkeys (
    id bytea NOT NULL,
    officer_id text NOT NULL,
    record jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);

CREATE TABLE officer_sessions (
    hash bytea NOT NULL,
    officer_id text NOT NULL,
    purpose text DEFAULT ''::text NOT NULL,
    by text NOT NULL,
    certificate bytea,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT officer_sessions_by CHECK ((by = ANY (ARRAY['certificate'::text, 'passkey'::text]))),
    CONSTRAINT officer_sessions_certificate CHECK ((length(certificate) = 32))
);

CREATE TABLE officers (
    id text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    office text NOT NULL,
    certificate bytea,
    secret_hash bytea,
    created_at timestamp with time zone NOT NULL,
    disabled_at timestamp with time zone,
    CONSTRAINT officers_certificate CHECK ((length(certificate) = 32)),
    CONSTRAINT officers_role CHECK ((role = ANY (ARRAY['officer'::text, 'supervisor'::text, 'administrator'::text]))),
    CONSTRAINT officers_secret CHECK ((secret_hash IS NULL))
);

COMMENT ON COLUMN officers.certificate IS 'SHA-256 of the TLS client certificate, DER';

COMMENT ON COLUMN officers.secret_hash IS 'there are no programs at the desk: the table has the shape of auditors';

CREATE TABLE pending_changes (
    hash bytea NOT NULL,
    citizen_id text NOT NULL,
    kind text NOT NULL,
    value jsonb NOT NULL,
    box bytea,
    seal_epoch integer NOT NULL,
    seal bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT pending_changes_kind CHECK ((kind = ANY (ARRAY['email'::text, 'password'::text])))
);

COMMENT ON COLUMN pending_changes.hash IS 'SHA-256 of the link''s secret';

CREATE TABLE pins (
    id text NOT NULL,
    identifier text NOT NULL,
    citizen_id text,
    pepper_epoch integer NOT NULL,
    mac bytea NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    state text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT pins_state CHECK ((state = ANY (ARRAY['prepared'::text, 'sent'::text, 'failed'::text, 'consumed'::text, 'superseded'::text])))
);

COMMENT ON COLUMN pins.citizen_id IS 'null: of somebody who asked with wrong data, and meets what all others meet';

COMMENT ON COLUMN pins.mac IS 'HSM HMAC over the row, access key and PIN';

CREATE TABLE presentations (
    hash bytea NOT NULL,
    challenge bytea NOT NULL,
    identifier text NOT NULL,
    facts jsonb NOT NULL,
    seal_epoch integer NOT NULL,
    seal bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT presentations_challenge_check CHECK ((length(challenge) = 32))
);

COMMENT ON TABLE presentations IS 'certificates that were shown at the certificate door, by the hash of the code that its visitor took away';

COMMENT ON COLUMN presentations.challenge IS 'SHA-256 of what the browser holds that began it';

CREATE TABLE registrations (
    id bigint NOT NULL,
    citizen_id text NOT NULL,
    mode text NOT NULL,
    level text NOT NULL,
    office text NOT NULL,
    officer text NOT NULL,
    assured_at timestamp with time zone NOT NULL,
    evidence jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT registrations_level CHECK ((level = ANY (ARRAY['basic'::text, 'advanced'::text]))),
    CONSTRAINT registrations_mode CHECK ((mode = ANY (ARRAY['office'::text, 'certificate'::text, 'dnie'::text, 'letter'::text, 'video'::text])))
);

COMMENT ON TABLE registrations IS 'each act that proved an identity; the newest one counts for the five-year rule';

COMMENT ON COLUMN registrations.evidence IS 'what proved the identity: the certificate shown, the recording looked at, the letter answered';

ALTER TABLE registrations ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME registrations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE reminders (
    citizen_id text NOT NULL,
    key text NOT NULL,
    at timestamp with time zone NOT NULL
);

COMMENT ON TABLE reminders IS 'that a certificate or a registration is going to end: each is enqueued in the transaction that writes it here, once';

CREATE TABLE requests (
    id text NOT NULL,
    application_id text NOT NULL,
    identifier text NOT NULL,
    title text NOT NULL,
    locale text NOT NULL,
    return_url text NOT NULL,
    idempotency_key text NOT NULL,
    body_hash bytea NOT NULL,
    state text DEFAULT 'received'::text NOT NULL,
    interrupted integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    particulars jsonb DEFAULT '[]'::jsonb NOT NULL,
    rejected jsonb DEFAULT '[]'::jsonb NOT NULL,
    purged_at timestamp with time zone,
    CONSTRAINT requests_closed CHECK (((state = ANY (ARRAY['signed'::text, 'refused'::text, 'expired'::text, 'withdrawn'::text])) = (closed_at IS NOT NULL))),
    CONSTRAINT requests_state CHECK ((state = ANY (ARRAY['received'::text, 'pending'::text, 'signing'::text, 'signed'::text, 'refused'::text, 'expired'::text, 'withdrawn'::text])))
);

COMMENT ON COLUMN requests.particulars IS 'labels and values that the citizen reads beside the title';

COMMENT ON COLUMN requests.rejected IS 'documents that were sent and could not be taken in: position, name and why';

COMMENT ON COLUMN requests.purged_at IS 'when its documents were forgotten';

CREATE TABLE return_addresses (
    application_id text NOT NULL,
    url text NOT NULL
);

CREATE TABLE service_consents (
    id text NOT NULL,
    citizen_id text NOT NULL,
    application_id text NOT NULL,
    scopes text[] NOT NULL,
    given_at timestamp with time zone NOT NULL,
    withdrawn_at timestamp with time zone
);

COMMENT ON TABLE service_consents IS 'that an application may see of a citizen what the scopes say, until it is withdrawn';

CREATE VIEW signature_entries WITH (security_barrier='true') AS
 SELECT log_entries.seq,
    log_entries.type,
    log_entries.operation,
    log_entries.at,
    log_entries.leaf,
    log_entries.payload,
    log_entries.salt
   FROM log_entries
  WHERE ((log_entries.type = ANY (ARRAY['sign.intent'::text, 'sign.done'::text])) AND (log_entries.payload IS NOT NULL));

COMMENT ON VIEW signature_entries IS 'what receipts hold: all that the public side may read of payloads';

CREATE TABLE sms_counts (
    kind text NOT NULL,
    subject text NOT NULL,
    hour timestamp with time zone NOT NULL,
    n integer NOT NULL,
    CONSTRAINT sms_counts_kind CHECK ((kind = ANY (ARRAY['number'::text, 'prefix'::text, 'service'::text]))),
    CONSTRAINT sms_counts_n_check CHECK ((n > 0))
);

CREATE TABLE sms_messages (
    id text NOT NULL,
    provider text DEFAULT ''::text NOT NULL,
    provider_id text DEFAULT ''::text NOT NULL,
    state text NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT sms_messages_state CHECK ((state = ANY (ARRAY['accepted'::text, 'delivered'::text, 'failed'::text])))
);

COMMENT ON TABLE sms_messages IS 'what operators say of messages; the id is that of the code that they carry';

CREATE TABLE tickets (
    hash bytea NOT NULL,
    purpose text NOT NULL,
    request_id text,
    citizen_id text NOT NULL,
    credential_id text,
    generation bigint NOT NULL,
    sealed_key bytea,
    verified boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    spent_at timestamp with time zone,
    source text DEFAULT ''::text NOT NULL,
    replaces boolean DEFAULT false NOT NULL,
    seal_epoch integer DEFAULT 0 NOT NULL,
    seal bytea DEFAULT '\x'::bytea NOT NULL,
    via text DEFAULT ''::text NOT NULL,
    CONSTRAINT tickets_purpose CHECK ((purpose = ANY (ARRAY['activation'::text, 'signature'::text, 'affairs'::text, 'access'::text]))),
    CONSTRAINT tickets_spent CHECK (((spent_at IS NULL) OR (sealed_key IS NULL))),
    CONSTRAINT tickets_via CHECK ((via = ANY (ARRAY[''::text, 'password'::text, 'pin'::text, 'certificate'::text, 'card'::text])))
);

COMMENT ON COLUMN tickets.sealed_key IS 'the sealing key under a key that only the browser''s cookie derives; deleted at first use';

COMMENT ON COLUMN tickets.source IS 'network that the person came from; known ones are not paused by strangers'' guesses';

COMMENT ON COLUMN tickets.replaces IS 'the key is to be replaced before it signs again, because it is kept as it no longer should be';

COMMENT ON COLUMN tickets.seal IS 'HSM HMAC over an activation''s ticket; a signature''s authenticates itself by the key that it guards';

COMMENT ON COLUMN tickets.via IS 'how the person was identified who may see the citizen''s own pages';

CREATE TABLE token_keys (
    label text NOT NULL,
    credential_id text NOT NULL,
    state text NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    CONSTRAINT token_keys_state CHECK ((state = ANY (ARRAY['making'::text, 'live'::text, 'doomed'::text])))
);

CREATE TABLE video_registrations (
    id text NOT NULL,
    provider text NOT NULL,
    office text NOT NULL,
    identifier text NOT NULL,
    facts jsonb NOT NULL,
    evidence jsonb NOT NULL,
    received_at timestamp with time zone NOT NULL,
    state text NOT NULL,
    decided_by text,
    decided_at timestamp with time zone,
    reason text,
    turn text,
    turn_until timestamp with time zone,
    CONSTRAINT video_registrations_decided CHECK (((state = 'pending'::text) = (decided_at IS NULL))),
    CONSTRAINT video_registrations_state CHECK ((state = ANY (ARRAY['pending'::text, 'approved'::text, 'rejected'::text]))),
    CONSTRAINT video_registrations_turn CHECK (((turn IS NULL) = (turn_until IS NULL)))
);

COMMENT ON TABLE video_registrations IS 'recordings of video identification that an officer looks at';

COMMENT ON COLUMN video_registrations.turn IS 'whoever is deciding about it now, until turn_until';

CREATE TABLE webhook_deliveries (
    id text DEFAULT replace((gen_random_uuid())::text, '-'::text, ''::text) NOT NULL,
    webhook_id text NOT NULL,
    application_id text NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    request_id text,
    request_state text NOT NULL,
    sequence integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    round integer DEFAULT 1 NOT NULL,
    began_at timestamp with time zone NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_at timestamp with time zone,
    last_at timestamp with time zone,
    status integer DEFAULT 0 NOT NULL,
    problem text DEFAULT ''::text NOT NULL,
    ended_at timestamp with time zone,
    envelope_id text,
    CONSTRAINT webhook_deliveries_about CHECK ((num_nonnulls(request_id, envelope_id) = 1)),
    CONSTRAINT webhook_deliveries_ended CHECK (((state = 'waiting'::text) = (ended_at IS NULL))),
    CONSTRAINT webhook_deliveries_sequence_check CHECK ((sequence > 0)),
    CONSTRAINT webhook_deliveries_state CHECK ((state = ANY (ARRAY['waiting'::text, 'delivered'::text, 'given_up'::text, 'stopped'::text])))
);

COMMENT ON TABLE webhook_deliveries IS 'one event for one address; it names a request and its state, and nobody';

COMMENT ON COLUMN webhook_deliveries.sequence IS 'of the event among those of its request, told from the request''s row';

COMMENT ON COLUMN webhook_deliveries.round IS 'a replay begins another: jobs of former rounds do nothing';

COMMENT ON COLUMN webhook_deliveries.began_at IS 'when the round began; tries end 48 hours later';

COMMENT ON COLUMN webhook_deliveries.envelope_id IS 'of an event about an envelope: there is one, its end';

CREATE TABLE webhooks (
    id text NOT NULL,
    application_id text NOT NULL,
    url text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    stopped_at timestamp with time zone,
    removed_at timestamp with time zone,
    CONSTRAINT webhooks_url CHECK (((url ~ '^https?://'::text) AND (length(url) <= 2000)))
);

COMMENT ON TABLE webhooks IS 'addresses that applications have registered to be told at';

COMMENT ON COLUMN webhooks.stopped_at IS 'the address answered 410 (Gone): it is told nothing more until it is added again';

ALTER TABLE ONLY access_tokens
    ADD CONSTRAINT access_tokens_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY activations
    ADD CONSTRAINT activations_pkey PRIMARY KEY (citizen_id);

ALTER TABLE ONLY application_certificates
    ADD CONSTRAINT application_certificates_pkey PRIMARY KEY (application_id, sha256);

ALTER TABLE ONLY application_keys
    ADD CONSTRAINT application_keys_pkey PRIMARY KEY (application_id, kid);

ALTER TABLE ONLY applications
    ADD CONSTRAINT applications_pkey PRIMARY KEY (id);

ALTER TABLE ONLY askings
    ADD CONSTRAINT askings_pkey PRIMARY KEY (kind, scope, subject, hour);

ALTER TABLE ONLY associated_certificates
    ADD CONSTRAINT associated_certificates_pkey PRIMARY KEY (citizen_id);

ALTER TABLE ONLY attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (kind, subject, source);

ALTER TABLE ONLY auditor_challenges
    ADD CONSTRAINT auditor_challenges_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY auditor_invitations
    ADD CONSTRAINT auditor_invitations_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY auditor_passkeys
    ADD CONSTRAINT auditor_passkeys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY auditor_sessions
    ADD CONSTRAINT auditor_sessions_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY auditors
    ADD CONSTRAINT auditors_certificate_key UNIQUE (certificate);

ALTER TABLE ONLY auditors
    ADD CONSTRAINT auditors_pkey PRIMARY KEY (id);

ALTER TABLE ONLY augmentations
    ADD CONSTRAINT augmentations_pkey PRIMARY KEY (request_id, ordinal);

ALTER TABLE ONLY authorisations
    ADD CONSTRAINT authorisations_one_a_code UNIQUE (challenge_id);

ALTER TABLE ONLY authorisations
    ADD CONSTRAINT authorisations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY authorisations
    ADD CONSTRAINT authorisations_sad UNIQUE (sad_hash);

ALTER TABLE ONLY authorities
    ADD CONSTRAINT authorities_pkey PRIMARY KEY (name);

ALTER TABLE ONLY cards
    ADD CONSTRAINT cards_pkey PRIMARY KEY (number);

ALTER TABLE ONLY ceremony_steps
    ADD CONSTRAINT ceremony_steps_pkey PRIMARY KEY (step);

ALTER TABLE ONLY certificate_changes
    ADD CONSTRAINT certificate_changes_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY certificates
    ADD CONSTRAINT certificates_pkey PRIMARY KEY (serial);

ALTER TABLE ONLY challenges
    ADD CONSTRAINT challenges_pkey PRIMARY KEY (id);

ALTER TABLE ONLY citizens
    ADD CONSTRAINT citizens_identifier_unique UNIQUE (identifier);

ALTER TABLE ONLY citizens
    ADD CONSTRAINT citizens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY content_pieces
    ADD CONSTRAINT content_pieces_pkey PRIMARY KEY (content_id, n);

ALTER TABLE ONLY contents
    ADD CONSTRAINT contents_pkey PRIMARY KEY (id);

ALTER TABLE ONLY credentials
    ADD CONSTRAINT credentials_pkey PRIMARY KEY (id);

ALTER TABLE ONLY crl_shards
    ADD CONSTRAINT crl_shards_pkey PRIMARY KEY (name);

ALTER TABLE ONLY crl_shards
    ADD CONSTRAINT crl_shards_place UNIQUE (issuer, year, ordinal);

ALTER TABLE ONLY crls
    ADD CONSTRAINT crls_pkey PRIMARY KEY (shard, number);

ALTER TABLE ONLY desk_orders
    ADD CONSTRAINT desk_orders_pkey PRIMARY KEY (id);

ALTER TABLE ONLY documents
    ADD CONSTRAINT documents_pkey PRIMARY KEY (request_id, ordinal);

ALTER TABLE ONLY enrolments
    ADD CONSTRAINT enrolments_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY envelope_signers
    ADD CONSTRAINT envelope_signers_once UNIQUE (envelope_id, identifier);

ALTER TABLE ONLY envelope_signers
    ADD CONSTRAINT envelope_signers_pkey PRIMARY KEY (envelope_id, "position");

ALTER TABLE ONLY envelope_signers
    ADD CONSTRAINT envelope_signers_request UNIQUE (request_id);

ALTER TABLE ONLY envelopes
    ADD CONSTRAINT envelopes_idempotency UNIQUE (application_id, idempotency_key);

ALTER TABLE ONLY envelopes
    ADD CONSTRAINT envelopes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY familiar_sources
    ADD CONSTRAINT familiar_sources_pkey PRIMARY KEY (subject, source);

ALTER TABLE ONLY handed_out
    ADD CONSTRAINT handed_out_pkey PRIMARY KEY (request_id, ordinal);

ALTER TABLE ONLY incidents
    ADD CONSTRAINT incidents_pkey PRIMARY KEY (id);

ALTER TABLE ONLY key_epochs
    ADD CONSTRAINT key_epochs_pkey PRIMARY KEY (kind, epoch);

ALTER TABLE ONLY key_keeper
    ADD CONSTRAINT key_keeper_pkey PRIMARY KEY (sole);

ALTER TABLE ONLY letters
    ADD CONSTRAINT letters_pkey PRIMARY KEY (id);

ALTER TABLE ONLY log_checkpoints
    ADD CONSTRAINT log_checkpoints_pkey PRIMARY KEY (origin, size);

ALTER TABLE ONLY log_entries
    ADD CONSTRAINT log_entries_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY log_hashes
    ADD CONSTRAINT log_hashes_pkey PRIMARY KEY (index);

ALTER TABLE ONLY log_head
    ADD CONSTRAINT log_head_pkey PRIMARY KEY (sole);

ALTER TABLE ONLY log_terms
    ADD CONSTRAINT log_terms_pkey PRIMARY KEY (kind, value, seq);

ALTER TABLE ONLY log_totals
    ADD CONSTRAINT log_totals_pkey PRIMARY KEY (day, type, application, reason);

ALTER TABLE ONLY log_trees
    ADD CONSTRAINT log_trees_pkey PRIMARY KEY (origin);

ALTER TABLE ONLY oauth_grants
    ADD CONSTRAINT oauth_grants_code_key UNIQUE (code);

ALTER TABLE ONLY oauth_grants
    ADD CONSTRAINT oauth_grants_pkey PRIMARY KEY (id);

ALTER TABLE ONLY oauth_grants
    ADD CONSTRAINT oauth_grants_refresh_key UNIQUE (refresh);

ALTER TABLE ONLY oauth_proofs
    ADD CONSTRAINT oauth_proofs_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY oauth_sessions
    ADD CONSTRAINT oauth_sessions_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY oauth_sessions
    ADD CONSTRAINT oauth_sessions_request_id_key UNIQUE (request_id);

ALTER TABLE ONLY oauth_sessions
    ADD CONSTRAINT oauth_sessions_request_uri_key UNIQUE (request_uri);

ALTER TABLE ONLY ocsp_answers
    ADD CONSTRAINT ocsp_answers_pkey PRIMARY KEY (serial);

ALTER TABLE ONLY office_acts
    ADD CONSTRAINT office_acts_pkey PRIMARY KEY (office, jti);

ALTER TABLE ONLY office_places
    ADD CONSTRAINT office_places_pkey PRIMARY KEY (id);

ALTER TABLE ONLY officer_challenges
    ADD CONSTRAINT officer_challenges_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY officer_invitations
    ADD CONSTRAINT officer_invitations_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY officer_passkeys
    ADD CONSTRAINT officer_passkeys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY officer_sessions
    ADD CONSTRAINT officer_sessions_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY officers
    ADD CONSTRAINT officers_certificate_key UNIQUE (certificate);

ALTER TABLE ONLY officers
    ADD CONSTRAINT officers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY pending_changes
    ADD CONSTRAINT pending_changes_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY pins
    ADD CONSTRAINT pins_pkey PRIMARY KEY (id);

ALTER TABLE ONLY presentations
    ADD CONSTRAINT presentations_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY registrations
    ADD CONSTRAINT registrations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY reminders
    ADD CONSTRAINT reminders_pkey PRIMARY KEY (citizen_id, key);

ALTER TABLE ONLY requests
    ADD CONSTRAINT requests_idempotency UNIQUE (application_id, idempotency_key);

ALTER TABLE ONLY requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (id);

ALTER TABLE ONLY return_addresses
    ADD CONSTRAINT return_addresses_pkey PRIMARY KEY (application_id, url);

ALTER TABLE ONLY service_consents
    ADD CONSTRAINT service_consents_pkey PRIMARY KEY (id);

ALTER TABLE ONLY sms_counts
    ADD CONSTRAINT sms_counts_pkey PRIMARY KEY (kind, subject, hour);

ALTER TABLE ONLY sms_messages
    ADD CONSTRAINT sms_messages_pkey PRIMARY KEY (id);

ALTER TABLE ONLY tickets
    ADD CONSTRAINT tickets_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY token_keys
    ADD CONSTRAINT token_keys_pkey PRIMARY KEY (label);

ALTER TABLE ONLY video_registrations
    ADD CONSTRAINT video_registrations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (id);

CREATE INDEX access_tokens_expiry ON access_tokens USING btree (expires_at);

CREATE INDEX access_tokens_grant ON access_tokens USING btree (grant_id);

CREATE INDEX askings_hour ON askings USING btree (hour);

CREATE INDEX auditor_sessions_expiry ON auditor_sessions USING btree (expires_at);

CREATE INDEX authorisations_citizen ON authorisations USING btree (citizen_id) WHERE (state = 'authorised'::text);

CREATE INDEX authorisations_open ON authorisations USING btree (lease_until) WHERE (state = 'intent'::text);

CREATE INDEX authorisations_request ON authorisations USING btree (request_id);

CREATE INDEX authorisations_waiting ON authorisations USING btree (expires_at) WHERE (state = 'authorised'::text);

CREATE INDEX certificate_changes_at ON certificate_changes USING btree (at);

CREATE INDEX certificates_credential ON certificates USING btree (credential_id);

CREATE INDEX certificates_ending ON certificates USING btree (not_after) WHERE ((state = 'issued'::text) AND ((revoked_at IS NULL) OR (reason = 6)));

CREATE INDEX certificates_open ON certificates USING btree (lease_until) WHERE (state = 'intent'::text);

CREATE INDEX certificates_revoked ON certificates USING btree (shard, revoked_at) WHERE (revoked_at IS NOT NULL);

CREATE INDEX challenges_forgettable ON challenges USING btree (expires_at) WHERE ((state <> 'consumed'::text) OR (purpose <> 'signature'::text));

COMMENT ON INDEX challenges_forgettable IS 'those that authorised nothing: the others stay, one for each signature ever made';

CREATE INDEX challenges_pace ON challenges USING btree (citizen_id, purpose, created_at DESC);

CREATE INDEX challenges_ticket ON challenges USING btree (ticket_hash, purpose, created_at DESC);

CREATE UNIQUE INDEX citizens_associated_unique ON citizens USING btree (associated) WHERE (status <> ALL (ARRAY['deregistered'::text, 'deceased'::text]));

CREATE INDEX citizens_names ON citizens USING btree (plain_name(((given_name || ' '::text) || surnames)) text_pattern_ops, identifier);

CREATE INDEX citizens_phone ON citizens USING btree (phone);

CREATE UNIQUE INDEX citizens_phone_unique ON citizens USING btree (phone) WHERE (status <> ALL (ARRAY['deregistered'::text, 'deceased'::text]));

CREATE INDEX citizens_surnames ON citizens USING btree (plain_name(((surnames || ' '::text) || given_name)) text_pattern_ops, identifier);

CREATE INDEX contents_age ON contents USING btree (created_at);

CREATE INDEX credentials_citizen ON credentials USING btree (citizen_id);

CREATE INDEX credentials_epochs ON credentials USING btree (kek_epoch, pepper_epoch, keeper) WHERE (state <> 'destroyed'::text);

CREATE UNIQUE INDEX credentials_one_live ON credentials USING btree (citizen_id) WHERE (state <> 'destroyed'::text);

CREATE INDEX desk_orders_decided ON desk_orders USING btree (office, decided_at) WHERE (decided_at IS NOT NULL);

CREATE INDEX desk_orders_waiting ON desk_orders USING btree (office, asked_at) WHERE (state = 'waiting'::text);

CREATE INDEX documents_content ON documents USING btree (content_id);

CREATE INDEX enrolments_expiry ON enrolments USING btree (expires_at);

CREATE INDEX familiar_sources_age ON familiar_sources USING btree (last_at);

CREATE INDEX incidents_citizen ON incidents USING btree (citizen_id, opened_at DESC);

CREATE INDEX incidents_open ON incidents USING btree (opened_at) WHERE (closed_at IS NULL);

CREATE UNIQUE INDEX letters_one ON letters USING btree (identifier) WHERE (state = ANY (ARRAY['requested'::text, 'printed'::text]));

CREATE INDEX letters_print ON letters USING btree (requested_at) WHERE (state = 'requested'::text);

CREATE INDEX log_checkpoints_age ON log_checkpoints USING btree (signed_at);

CREATE INDEX log_checkpoints_witnessed ON log_checkpoints USING btree (origin, size) WHERE (witnessed_at IS NOT NULL);

CREATE INDEX log_entries_at ON log_entries USING btree (at, seq);

CREATE INDEX log_entries_operation ON log_entries USING btree (operation, seq);

CREATE INDEX log_entries_person ON log_entries USING btree (person, seq);

CREATE INDEX log_entries_sealed ON log_entries USING btree (person, seq DESC) WHERE (type = 'citizen.sealed'::text);

CREATE INDEX log_entries_status ON log_entries USING btree (operation, seq) WHERE (type = ANY (ARRAY['certificate.revoked'::text, 'certificate.suspended'::text, 'certificate.released'::text]));

COMMENT ON INDEX log_entries_status IS 'what the log says of a citizen''s certificates counts, whatever their rows say';

CREATE INDEX log_entries_type ON log_entries USING btree (type, seq);

CREATE UNIQUE INDEX log_trees_one ON log_trees USING btree ((true)) WHERE (ended_at IS NULL);

CREATE INDEX oauth_grants_consent ON oauth_grants USING btree (consent_id) WHERE (consent_id IS NOT NULL);

CREATE INDEX oauth_grants_expiry ON oauth_grants USING btree (expires_at);

CREATE INDEX oauth_grants_session ON oauth_grants USING btree (session) WHERE (session IS NOT NULL);

CREATE INDEX oauth_proofs_expiry ON oauth_proofs USING btree (expires_at);

CREATE INDEX oauth_sessions_expiry ON oauth_sessions USING btree (expires_at);

CREATE INDEX ocsp_answers_age ON ocsp_answers USING btree (next_update);

CREATE INDEX office_acts_at ON office_acts USING btree (at);

CREATE INDEX office_places_postal_code ON office_places USING btree (postal_code);

CREATE INDEX officer_sessions_expiry ON officer_sessions USING btree (expires_at);

CREATE INDEX pending_changes_expiry ON pending_changes USING btree (expires_at);

CREATE UNIQUE INDEX pending_changes_one ON pending_changes USING btree (citizen_id, kind);

CREATE INDEX pins_citizen ON pins USING btree (citizen_id, created_at DESC);

CREATE INDEX pins_expiry ON pins USING btree (expires_at);

CREATE INDEX presentations_expiry ON presentations USING btree (expires_at);

CREATE INDEX registrations_age ON registrations USING btree (assured_at);

CREATE INDEX registrations_citizen ON registrations USING btree (citizen_id, assured_at DESC);

CREATE INDEX requests_history ON requests USING btree (identifier, created_at DESC, id DESC) INCLUDE (application_id);

CREATE INDEX requests_open ON requests USING btree (expires_at) WHERE (state = ANY (ARRAY['received'::text, 'pending'::text]));

CREATE INDEX requests_unpurged ON requests USING btree (closed_at) WHERE (purged_at IS NULL);

CREATE INDEX service_consents_live ON service_consents USING btree (citizen_id) WHERE (withdrawn_at IS NULL);

CREATE INDEX sms_counts_hour ON sms_counts USING btree (hour);

CREATE INDEX sms_messages_age ON sms_messages USING btree (at);

CREATE INDEX sms_messages_provider ON sms_messages USING btree (provider, provider_id);

CREATE INDEX tickets_citizen ON tickets USING btree (citizen_id);

CREATE INDEX tickets_expiry ON tickets USING btree (expires_at);

CREATE INDEX tickets_request ON tickets USING btree (request_id) WHERE (spent_at IS NULL);

CREATE INDEX token_keys_open ON token_keys USING btree (lease_until) WHERE (state <> 'live'::text);

CREATE INDEX video_registrations_pending ON video_registrations USING btree (office, received_at) WHERE (state = 'pending'::text);

CREATE UNIQUE INDEX video_registrations_recording ON video_registrations USING btree (provider, ((evidence ->> 'recording'::text)));

CREATE INDEX webhook_deliveries_ended ON webhook_deliveries USING btree (ended_at);

CREATE UNIQUE INDEX webhook_deliveries_envelope ON webhook_deliveries USING btree (envelope_id, webhook_id) WHERE (envelope_id IS NOT NULL);

CREATE INDEX webhook_deliveries_newest ON webhook_deliveries USING btree (application_id, created_at DESC, id DESC);

CREATE UNIQUE INDEX webhook_deliveries_sequence ON webhook_deliveries USING btree (request_id, sequence, webhook_id);

CREATE INDEX webhook_deliveries_states ON webhook_deliveries USING btree (application_id, state, created_at DESC, id DESC) WHERE (state <> 'delivered'::text);

CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries USING btree (webhook_id) WHERE (state = 'waiting'::text);

CREATE UNIQUE INDEX webhooks_one ON webhooks USING btree (application_id, url) WHERE (removed_at IS NULL);

ALTER TABLE ONLY access_tokens
    ADD CONSTRAINT access_tokens_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);

ALTER TABLE ONLY access_tokens
    ADD CONSTRAINT access_tokens_grant_id_fkey FOREIGN KEY (grant_id) REFERENCES oauth_grants(id) ON DELETE CASCADE;

ALTER TABLE ONLY activations
    ADD CONSTRAINT activations_citizen_id_fkey FOREIGN KEY (citizen_id) REFERENCES citizens(id);

ALTER TABLE ONLY application_certificates
    ADD CONSTRAINT application_certificates_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);

ALTER TABLE ONLY application_keys
    ADD CONSTRAINT application_keys_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);

ALTER TABLE ONLY associated_certificates
    ADD CONSTRAINT associated_certificates_citizen_id_fkey FOREIGN KEY (citizen_id) REFERENCES citizens(id);

ALTER TABLE ONLY auditor_invitations
    ADD CONSTRAINT auditor_invitations_auditor_id_fkey FOREIGN KEY (auditor_id) REFERENCES auditors(id) ON DELETE CASCADE;

ALTER TABLE ONLY auditor_passkeys
    ADD CONSTRAINT auditor_passkeys_auditor_id_fkey FOREIGN KEY (auditor_id) REFERENCES auditors(id) ON DELETE CASCADE;

ALTER TABLE ONLY auditor_sessions
    ADD CONSTRAINT auditor_sessions_auditor_id_fkey FOREIGN KEY (auditor_id) REFERENCES auditors(id) ON DELETE CASCADE;

ALTER TABLE ONLY augmentations
    ADD CONSTRAINT augmentations_request_id_ordinal_fkey FOREIGN KEY (request_id, ordinal) REFERENCES documents(request_id, ordinal) ON DELETE CASCADE;

ALTER TABLE ONLY authorisations
    ADD CONSTRAINT authorisations_challenge_id_fkey FOREIGN KEY (challenge_id) REFERENCES challenges(id);

ALTER TABLE ONLY authorisations
    ADD CONSTRAINT authorisations_credential_id_fkey FOREIGN KEY (credential_id) REFERENCES credentials(id);

ALTER TABLE ONLY authorisations
    ADD CONSTRAINT authorisations_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(id);

ALTER TABLE ONLY authorisations
    ADD CONSTRAINT authorisations_serial_fkey FOREIGN KEY (serial) REFERENCES certificates(serial);

ALTER TABLE ONLY authorities
    ADD CONSTRAINT authorities_issuer FOREIGN KEY (issuer) REFERENCES authorities(name);

ALTER TABLE ONLY certificates
    ADD CONSTRAINT certificates_credential_id_fkey FOREIGN KEY (credential_id) REFERENCES credentials(id);

ALTER TABLE ONLY certificates
    ADD CONSTRAINT certificates_issuer FOREIGN KEY (issuer) REFERENCES authorities(name);

ALTER TABLE ONLY certificates
    ADD CONSTRAINT certificates_shard FOREIGN KEY (shard) REFERENCES crl_shards(name);

ALTER TABLE ONLY challenges
    ADD CONSTRAINT challenges_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);

ALTER TABLE ONLY challenges
    ADD CONSTRAINT challenges_citizen_id_fkey FOREIGN KEY (citizen_id) REFERENCES citizens(id);

ALTER TABLE ONLY content_pieces
    ADD CONSTRAINT content_pieces_content_id_fkey FOREIGN KEY (content_id) REFERENCES contents(id) ON DELETE CASCADE;

ALTER TABLE ONLY contents
    ADD CONSTRAINT contents_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);

ALTER TABLE ONLY credentials
    ADD CONSTRAINT credentials_citizen_id_fkey FOREIGN KEY (citizen_id) REFERENCES citizens(id);

ALTER TABLE ONLY crl_shards
    ADD CONSTRAINT crl_shards_issuer_fkey FOREIGN KEY (issuer) REFERENCES authorities(name);

ALTER TABLE ONLY crls
    ADD CONSTRAINT crls_shard FOREIGN KEY (shard) REFERENCES crl_shards(name);

ALTER TABLE ONLY desk_orders
    ADD CONSTRAINT desk_orders_asked_by_fkey FOREIGN KEY (asked_by) REFERENCES officers(id);

ALTER TABLE ONLY desk_orders
    ADD CONSTRAINT desk_orders_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES officers(id);

ALTER TABLE ONLY desk_orders
    ADD CONSTRAINT desk_orders_office_fkey FOREIGN KEY (office) REFERENCES applications(id);

ALTER TABLE ONLY documents
    ADD CONSTRAINT documents_content_id_fkey FOREIGN KEY (content_id) REFERENCES contents(id) ON DELETE SET NULL;

ALTER TABLE ONLY documents
    ADD CONSTRAINT documents_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(id) ON DELETE CASCADE;

ALTER TABLE ONLY envelope_signers
    ADD CONSTRAINT envelope_signers_envelope_id_fkey FOREIGN KEY (envelope_id) REFERENCES envelopes(id);

ALTER TABLE ONLY envelope_signers
    ADD CONSTRAINT envelope_signers_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(id);

ALTER TABLE ONLY envelopes
    ADD CONSTRAINT envelopes_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);

ALTER TABLE ONLY handed_out
    ADD CONSTRAINT handed_out_request_id_ordinal_fkey FOREIGN KEY (request_id, ordinal) REFERENCES documents(request_id, ordinal) ON DELETE CASCADE;

ALTER TABLE ONLY incidents
    ADD CONSTRAINT incidents_citizen_id_fkey FOREIGN KEY (citizen_id) REFERENCES citizens(id);

ALTER TABLE ONLY log_checkpoints
    ADD CONSTRAINT log_checkpoints_origin_fkey FOREIGN KEY (origin) REFERENCES log_trees(origin);

ALTER TABLE ONLY oauth_grants
    ADD CONSTRAINT oauth_grants_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);

ALTER TABLE ONLY oauth_grants
    ADD CONSTRAINT oauth_grants_consent_id_fkey FOREIGN KEY (consent_id) REFERENCES service_consents(id);

ALTER TABLE ONLY oauth_grants
    ADD CONSTRAINT oauth_grants_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(id);

ALTER TABLE ONLY oauth_sessions
    ADD CONSTRAINT oauth_sessions_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);

ALTER TABLE ONLY oauth_sessions
    ADD CONSTRAINT oauth_sessions_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(id);

ALTER TABLE ONLY office_acts
    ADD CONSTRAINT office_acts_office_fkey FOREIGN KEY (office) REFERENCES applications(id);

ALTER TABLE ONLY officer_invitations
    ADD CONSTRAINT officer_invitations_officer_id_fkey FOREIGN KEY (officer_id) REFERENCES officers(id) ON DELETE CASCADE;

ALTER TABLE ONLY officer_passkeys
    ADD CONSTRAINT officer_passkeys_officer_id_fkey FOREIGN KEY (officer_id) REFERENCES officers(id) ON DELETE CASCADE;

ALTER TABLE ONLY officer_sessions
    ADD CONSTRAINT officer_sessions_officer_id_fkey FOREIGN KEY (officer_id) REFERENCES officers(id) ON DELETE CASCADE;

ALTER TABLE ONLY officers
    ADD CONSTRAINT officers_office_fkey FOREIGN KEY (office) REFERENCES applications(id);

ALTER TABLE ONLY pending_changes
    ADD CONSTRAINT pending_changes_citizen_id_fkey FOREIGN KEY (citizen_id) REFERENCES citizens(id);

ALTER TABLE ONLY pins
    ADD CONSTRAINT pins_citizen_id_fkey FOREIGN KEY (citizen_id) REFERENCES citizens(id);

ALTER TABLE ONLY registrations
    ADD CONSTRAINT registrations_citizen_id_fkey FOREIGN KEY (citizen_id) REFERENCES citizens(id);

ALTER TABLE ONLY reminders
    ADD CONSTRAINT reminders_citizen_id_fkey FOREIGN KEY (citizen_id) REFERENCES citizens(id);

ALTER TABLE ONLY requests
    ADD CONSTRAINT requests_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);

ALTER TABLE ONLY return_addresses
    ADD CONSTRAINT return_addresses_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);

ALTER TABLE ONLY service_consents
    ADD CONSTRAINT service_consents_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);

ALTER TABLE ONLY service_consents
    ADD CONSTRAINT service_consents_citizen_id_fkey FOREIGN KEY (citizen_id) REFERENCES citizens(id);

ALTER TABLE ONLY tickets
    ADD CONSTRAINT tickets_citizen_id_fkey FOREIGN KEY (citizen_id) REFERENCES citizens(id);

ALTER TABLE ONLY tickets
    ADD CONSTRAINT tickets_credential_id_fkey FOREIGN KEY (credential_id) REFERENCES credentials(id);

ALTER TABLE ONLY tickets
    ADD CONSTRAINT tickets_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(id);

ALTER TABLE ONLY token_keys
    ADD CONSTRAINT token_keys_credential_id_fkey FOREIGN KEY (credential_id) REFERENCES credentials(id);

ALTER TABLE ONLY video_registrations
    ADD CONSTRAINT video_registrations_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES officers(id);

ALTER TABLE ONLY video_registrations
    ADD CONSTRAINT video_registrations_office_fkey FOREIGN KEY (office) REFERENCES applications(id);

ALTER TABLE ONLY video_registrations
    ADD CONSTRAINT video_registrations_provider_fkey FOREIGN KEY (provider) REFERENCES applications(id);

ALTER TABLE ONLY webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_envelope_id_fkey FOREIGN KEY (envelope_id) REFERENCES envelopes(id);

ALTER TABLE ONLY webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(id);

ALTER TABLE ONLY webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES webhooks(id);

ALTER TABLE ONLY webhooks
    ADD CONSTRAINT webhooks_application_id_fkey FOREIGN KEY (application_id) REFERENCES applications(id);

GRANT SELECT,INSERT,DELETE ON TABLE access_tokens TO rubrica_api;
GRANT UPDATE(sad) ON TABLE access_tokens TO rubrica_api;
GRANT UPDATE(revoked_at) ON TABLE access_tokens TO rubrica_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE activations TO rubrica_signer;
GRANT SELECT,INSERT,DELETE ON TABLE application_certificates TO rubrica_signer;
GRANT SELECT ON TABLE application_certificates TO rubrica_api;
GRANT SELECT(application_id) ON TABLE application_certificates TO rubrica_registrar;
GRANT SELECT(sha256) ON TABLE application_certificates TO rubrica_registrar;
GRANT SELECT(not_before) ON TABLE application_certificates TO rubrica_registrar;
GRANT SELECT(not_after) ON TABLE application_certificates TO rubrica_registrar;
GRANT UPDATE(not_after) ON TABLE application_certificates TO rubrica_signer;
GRANT SELECT(added_at) ON TABLE application_certificates TO rubrica_registrar;
GRANT SELECT,INSERT,DELETE ON TABLE application_keys TO rubrica_signer;
GRANT SELECT ON TABLE application_keys TO rubrica_api;
GRANT SELECT(application_id) ON TABLE application_keys TO rubrica_registrar;
GRANT SELECT(kid) ON TABLE application_keys TO rubrica_registrar;
GRANT SELECT(not_before) ON TABLE application_keys TO rubrica_registrar;
GRANT SELECT(not_after) ON TABLE application_keys TO rubrica_registrar;
GRANT UPDATE(not_after) ON TABLE application_keys TO rubrica_signer;
GRANT SELECT(added_at) ON TABLE application_keys TO rubrica_registrar;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE applications TO rubrica_signer;
GRANT SELECT ON TABLE applications TO rubrica_api;
GRANT SELECT(id) ON TABLE applications TO rubrica_auditor;
GRANT SELECT(id) ON TABLE applications TO rubrica_registrar;
GRANT SELECT(name) ON TABLE applications TO rubrica_auditor;
GRANT SELECT(name) ON TABLE applications TO rubrica_registrar;
GRANT SELECT(organisation) ON TABLE applications TO rubrica_registrar;
GRANT SELECT(scopes) ON TABLE applications TO rubrica_registrar;
GRANT SELECT(enabled) ON TABLE applications TO rubrica_registrar;
GRANT SELECT(created_at) ON TABLE applications TO rubrica_registrar;
GRANT SELECT(contact) ON TABLE applications TO rubrica_registrar;
GRANT SELECT(switches) ON TABLE applications TO rubrica_registrar;
GRANT SELECT(doors) ON TABLE applications TO rubrica_registrar;
GRANT SELECT(formats) ON TABLE applications TO rubrica_registrar;
GRANT SELECT(levels) ON TABLE applications TO rubrica_registrar;
GRANT SELECT(calls) ON TABLE applications TO rubrica_registrar;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE askings TO rubrica_signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE associated_certificates TO rubrica_signer;
GRANT SELECT ON TABLE associated_certificates TO rubrica_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE attempts TO rubrica_signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE auditor_challenges TO rubrica_auditor;
GRANT SELECT,INSERT,DELETE ON TABLE auditor_invitations TO rubrica_signer;
GRANT SELECT,INSERT,DELETE ON TABLE auditor_invitations TO rubrica_auditor;
GRANT SELECT,INSERT,DELETE ON TABLE auditor_passkeys TO rubrica_signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE auditor_passkeys TO rubrica_auditor;
GRANT SELECT,DELETE ON TABLE auditor_sessions TO rubrica_signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE auditor_sessions TO rubrica_auditor;
GRANT SELECT,INSERT,UPDATE ON TABLE auditors TO rubrica_signer;
GRANT SELECT ON TABLE auditors TO rubrica_auditor;
GRANT UPDATE(disabled_at) ON TABLE auditors TO rubrica_auditor;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE augmentations TO rubrica_api;
GRANT SELECT ON TABLE augmentations TO rubrica_signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE authorisations TO rubrica_signer;
GRANT SELECT,INSERT,UPDATE ON TABLE authorities TO rubrica_signer;
GRANT SELECT ON TABLE authorities TO rubrica_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE cards TO rubrica_signer;
GRANT SELECT,INSERT ON TABLE ceremony_steps TO rubrica_signer;
GRANT SELECT,INSERT,DELETE ON TABLE certificate_changes TO rubrica_signer;
GRANT SELECT ON TABLE certificate_changes TO rubrica_api;
GRANT USAGE ON SEQUENCE certificate_changes_seq_seq TO rubrica_api;
GRANT USAGE ON SEQUENCE certificate_changes_seq_seq TO rubrica_signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE certificates TO rubrica_signer;
GRANT SELECT ON TABLE certificates TO rubrica_api;
GRANT SELECT ON TABLE certificates TO rubrica_registrar;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE challenges TO rubrica_signer;
GRANT SELECT(id) ON TABLE challenges TO rubrica_api;
GRANT SELECT(ticket_hash) ON TABLE challenges TO rubrica_api;
GRANT SELECT(purpose) ON TABLE challenges TO rubrica_api;
GRANT SELECT(request_id) ON TABLE challenges TO rubrica_api;
GRANT SELECT(citizen_id) ON TABLE challenges TO rubrica_api;
GRANT SELECT(reference) ON TABLE challenges TO rubrica_api;
GRANT SELECT(attempts) ON TABLE challenges TO rubrica_api;
GRANT SELECT(state) ON TABLE challenges TO rubrica_api;
GRANT SELECT(created_at) ON TABLE challenges TO rubrica_api;
GRANT SELECT(expires_at) ON TABLE challenges TO rubrica_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE citizens TO rubrica_signer;
GRANT SELECT ON TABLE citizens TO rubrica_api;
GRANT SELECT ON TABLE citizens TO rubrica_registrar;
GRANT SELECT,INSERT,DELETE ON TABLE content_pieces TO rubrica_api;
GRANT SELECT,INSERT,DELETE ON TABLE contents TO rubrica_api;
GRANT UPDATE(size) ON TABLE contents TO rubrica_api;
GRANT UPDATE(sha256) ON TABLE contents TO rubrica_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE credentials TO rubrica_signer;
GRANT SELECT(id) ON TABLE credentials TO rubrica_api;
GRANT SELECT(id) ON TABLE credentials TO rubrica_registrar;
GRANT SELECT(citizen_id) ON TABLE credentials TO rubrica_api;
GRANT SELECT(citizen_id) ON TABLE credentials TO rubrica_registrar;
GRANT SELECT(generation) ON TABLE credentials TO rubrica_api;
GRANT SELECT(generation) ON TABLE credentials TO rubrica_registrar;
GRANT SELECT(state) ON TABLE credentials TO rubrica_api;
GRANT SELECT(state) ON TABLE credentials TO rubrica_registrar;
GRANT SELECT(algorithm) ON TABLE credentials TO rubrica_api;
GRANT SELECT(algorithm) ON TABLE credentials TO rubrica_registrar;
GRANT SELECT(created_at) ON TABLE credentials TO rubrica_api;
GRANT SELECT(created_at) ON TABLE credentials TO rubrica_registrar;
GRANT SELECT(keeper) ON TABLE credentials TO rubrica_api;
GRANT SELECT(keeper) ON TABLE credentials TO rubrica_registrar;
GRANT SELECT(kek_epoch) ON TABLE credentials TO rubrica_api;
GRANT SELECT(kek_epoch) ON TABLE credentials TO rubrica_registrar;
GRANT SELECT(key_label) ON TABLE credentials TO rubrica_api;
GRANT SELECT(key_label) ON TABLE credentials TO rubrica_registrar;
GRANT SELECT(password_at) ON TABLE credentials TO rubrica_api;
GRANT SELECT(password_at) ON TABLE credentials TO rubrica_registrar;
GRANT SELECT,INSERT,UPDATE ON TABLE crl_shards TO rubrica_signer;
GRANT SELECT ON TABLE crl_shards TO rubrica_api;
GRANT SELECT,INSERT,DELETE ON TABLE crls TO rubrica_signer;
GRANT SELECT ON TABLE crls TO rubrica_api;
GRANT SELECT,INSERT ON TABLE log_entries TO rubrica_signer;
GRANT SELECT ON TABLE log_entries TO rubrica_auditor;
GRANT SELECT(seq) ON TABLE log_entries TO rubrica_api;
GRANT SELECT(leaf) ON TABLE log_entries TO rubrica_api;
GRANT SELECT ON TABLE desk_entries TO rubrica_registrar;
GRANT SELECT,INSERT,UPDATE ON TABLE desk_orders TO rubrica_registrar;
GRANT SELECT ON TABLE documents TO rubrica_signer;
GRANT SELECT ON TABLE documents TO rubrica_api;
GRANT INSERT(request_id) ON TABLE documents TO rubrica_api;
GRANT INSERT(ordinal) ON TABLE documents TO rubrica_api;
GRANT INSERT(name) ON TABLE documents TO rubrica_api;
GRANT INSERT(media_type) ON TABLE documents TO rubrica_api;
GRANT INSERT(format) ON TABLE documents TO rubrica_api;
GRANT INSERT(size) ON TABLE documents TO rubrica_api;
GRANT INSERT(sha256) ON TABLE documents TO rubrica_api;
GRANT INSERT(pages) ON TABLE documents TO rubrica_api;
GRANT INSERT(layout),UPDATE(layout) ON TABLE documents TO rubrica_api;
GRANT UPDATE(signing_time) ON TABLE documents TO rubrica_api;
GRANT UPDATE(digest) ON TABLE documents TO rubrica_api;
GRANT UPDATE(fixed_for) ON TABLE documents TO rubrica_api;
GRANT UPDATE(cms) ON TABLE documents TO rubrica_signer;
GRANT INSERT(hash),UPDATE(hash) ON TABLE documents TO rubrica_api;
GRANT INSERT(content_id),UPDATE(content_id) ON TABLE documents TO rubrica_api;
GRANT INSERT(update),UPDATE(update) ON TABLE documents TO rubrica_api;
GRANT INSERT(options) ON TABLE documents TO rubrica_api;
GRANT INSERT(attributes) ON TABLE documents TO rubrica_api;
GRANT INSERT(findings) ON TABLE documents TO rubrica_api;
GRANT INSERT(level),UPDATE(level) ON TABLE documents TO rubrica_api;
GRANT INSERT(given) ON TABLE documents TO rubrica_api;
GRANT UPDATE(revision) ON TABLE documents TO rubrica_api;
GRANT UPDATE(prefix) ON TABLE documents TO rubrica_api;
GRANT UPDATE(built) ON TABLE documents TO rubrica_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE enrolments TO rubrica_signer;
GRANT SELECT(hash) ON TABLE enrolments TO rubrica_api;
GRANT SELECT(kind) ON TABLE enrolments TO rubrica_api;
GRANT SELECT(identifier) ON TABLE enrolments TO rubrica_api;
GRANT SELECT(facts) ON TABLE enrolments TO rubrica_api;
GRANT SELECT(phone) ON TABLE enrolments TO rubrica_api;
GRANT SELECT(attempts) ON TABLE enrolments TO rubrica_api;
GRANT SELECT(codes) ON TABLE enrolments TO rubrica_api;
GRANT SELECT(sent_at) ON TABLE enrolments TO rubrica_api;
GRANT SELECT(created_at) ON TABLE enrolments TO rubrica_api;
GRANT SELECT(expires_at) ON TABLE enrolments TO rubrica_api;
GRANT SELECT(spent_at) ON TABLE enrolments TO rubrica_api;
GRANT SELECT ON TABLE envelope_signers TO rubrica_api;
GRANT SELECT ON TABLE envelope_signers TO rubrica_signer;
GRANT INSERT(envelope_id) ON TABLE envelope_signers TO rubrica_api;
GRANT INSERT("position") ON TABLE envelope_signers TO rubrica_api;
GRANT INSERT(identifier) ON TABLE envelope_signers TO rubrica_api;
GRANT INSERT(title) ON TABLE envelope_signers TO rubrica_api;
GRANT INSERT(locale) ON TABLE envelope_signers TO rubrica_api;
GRANT INSERT(options) ON TABLE envelope_signers TO rubrica_api;
GRANT INSERT(request_id),UPDATE(request_id) ON TABLE envelope_signers TO rubrica_api;
GRANT SELECT ON TABLE envelopes TO rubrica_api;
GRANT SELECT ON TABLE envelopes TO rubrica_signer;
GRANT INSERT(id) ON TABLE envelopes TO rubrica_api;
GRANT INSERT(application_id) ON TABLE envelopes TO rubrica_api;
GRANT INSERT(idempotency_key) ON TABLE envelopes TO rubrica_api;
GRANT INSERT(body_hash) ON TABLE envelopes TO rubrica_api;
GRANT INSERT(title) ON TABLE envelopes TO rubrica_api;
GRANT INSERT(ordering) ON TABLE envelopes TO rubrica_api;
GRANT UPDATE(state) ON TABLE envelopes TO rubrica_api;
GRANT INSERT(created_at) ON TABLE envelopes TO rubrica_api;
GRANT INSERT(expires_at) ON TABLE envelopes TO rubrica_api;
GRANT UPDATE(closed_at) ON TABLE envelopes TO rubrica_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE familiar_sources TO rubrica_signer;
GRANT SELECT,INSERT ON TABLE handed_out TO rubrica_api;
GRANT SELECT ON TABLE handed_out TO rubrica_signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE incidents TO rubrica_signer;
GRANT SELECT ON TABLE incidents TO rubrica_api;
GRANT SELECT ON TABLE incidents TO rubrica_registrar;
GRANT SELECT,INSERT,UPDATE ON TABLE key_epochs TO rubrica_signer;
GRANT SELECT,INSERT,UPDATE ON TABLE key_keeper TO rubrica_signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE letters TO rubrica_signer;
GRANT SELECT(id) ON TABLE letters TO rubrica_registrar;
GRANT SELECT(identifier) ON TABLE letters TO rubrica_registrar;
GRANT SELECT(recipient) ON TABLE letters TO rubrica_registrar;
GRANT SELECT(state) ON TABLE letters TO rubrica_registrar;
GRANT SELECT(requested_at) ON TABLE letters TO rubrica_registrar;
GRANT SELECT(printed_at) ON TABLE letters TO rubrica_registrar;
GRANT SELECT(printed_by) ON TABLE letters TO rubrica_registrar;
GRANT SELECT(expires_at) ON TABLE letters TO rubrica_registrar;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE log_checkpoints TO rubrica_signer;
GRANT SELECT ON TABLE log_checkpoints TO rubrica_api;
GRANT SELECT ON TABLE log_checkpoints TO rubrica_auditor;
GRANT SELECT,INSERT ON TABLE log_hashes TO rubrica_signer;
GRANT SELECT ON TABLE log_hashes TO rubrica_api;
GRANT SELECT ON TABLE log_hashes TO rubrica_auditor;
GRANT SELECT,UPDATE ON TABLE log_head TO rubrica_signer;
GRANT SELECT ON TABLE log_head TO rubrica_auditor;
GRANT SELECT,INSERT ON TABLE log_terms TO rubrica_signer;
GRANT SELECT ON TABLE log_terms TO rubrica_auditor;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE log_totals TO rubrica_signer;
GRANT SELECT ON TABLE log_totals TO rubrica_auditor;
GRANT SELECT,INSERT ON TABLE log_trees TO rubrica_signer;
GRANT SELECT ON TABLE log_trees TO rubrica_api;
GRANT SELECT ON TABLE log_trees TO rubrica_auditor;
GRANT UPDATE(ended_at) ON TABLE log_trees TO rubrica_signer;
GRANT SELECT,INSERT,DELETE ON TABLE oauth_grants TO rubrica_api;
GRANT SELECT(id) ON TABLE oauth_grants TO rubrica_signer;
GRANT UPDATE(code_used_at) ON TABLE oauth_grants TO rubrica_api;
GRANT UPDATE(refresh) ON TABLE oauth_grants TO rubrica_api;
GRANT UPDATE(sad) ON TABLE oauth_grants TO rubrica_api;
GRANT UPDATE(sad) ON TABLE oauth_grants TO rubrica_signer;
GRANT UPDATE(data) ON TABLE oauth_grants TO rubrica_api;
GRANT UPDATE(revoked_at) ON TABLE oauth_grants TO rubrica_api;
GRANT SELECT(revoked_at),UPDATE(revoked_at) ON TABLE oauth_grants TO rubrica_signer;
GRANT UPDATE(expires_at) ON TABLE oauth_grants TO rubrica_api;
GRANT SELECT(consent_id) ON TABLE oauth_grants TO rubrica_signer;
GRANT UPDATE(spent_at) ON TABLE oauth_grants TO rubrica_api;
GRANT SELECT,INSERT,DELETE ON TABLE oauth_proofs TO rubrica_api;
GRANT SELECT,INSERT,DELETE ON TABLE oauth_sessions TO rubrica_api;
GRANT UPDATE(hash) ON TABLE oauth_sessions TO rubrica_api;
GRANT UPDATE(request_id) ON TABLE oauth_sessions TO rubrica_api;
GRANT UPDATE(subject) ON TABLE oauth_sessions TO rubrica_api;
GRANT UPDATE(data) ON TABLE oauth_sessions TO rubrica_api;
GRANT UPDATE(expires_at) ON TABLE oauth_sessions TO rubrica_api;
GRANT UPDATE(used_at) ON TABLE oauth_sessions TO rubrica_api;
GRANT UPDATE(ended_at) ON TABLE oauth_sessions TO rubrica_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ocsp_answers TO rubrica_signer;
GRANT SELECT,INSERT,DELETE ON TABLE office_acts TO rubrica_signer;
GRANT SELECT,INSERT,DELETE ON TABLE office_places TO rubrica_signer;
GRANT SELECT ON TABLE office_places TO rubrica_api;
GRANT SELECT ON TABLE office_places TO rubrica_registrar;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE officer_challenges TO rubrica_registrar;
GRANT SELECT,INSERT,DELETE ON TABLE officer_invitations TO rubrica_signer;
GRANT SELECT,INSERT,DELETE ON TABLE officer_invitations TO rubrica_registrar;
GRANT SELECT,INSERT,DELETE ON TABLE officer_passkeys TO rubrica_signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE officer_passkeys TO rubrica_registrar;
GRANT SELECT,DELETE ON TABLE officer_sessions TO rubrica_signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE officer_sessions TO rubrica_registrar;
GRANT SELECT,INSERT,UPDATE ON TABLE officers TO rubrica_signer;
GRANT SELECT ON TABLE officers TO rubrica_registrar;
GRANT UPDATE(disabled_at) ON TABLE officers TO rubrica_registrar;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pending_changes TO rubrica_signer;
GRANT SELECT(hash) ON TABLE pending_changes TO rubrica_api;
GRANT SELECT(citizen_id) ON TABLE pending_changes TO rubrica_api;
GRANT SELECT(kind) ON TABLE pending_changes TO rubrica_api;
GRANT SELECT(created_at) ON TABLE pending_changes TO rubrica_api;
GRANT SELECT(expires_at) ON TABLE pending_changes TO rubrica_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pins TO rubrica_signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE presentations TO rubrica_signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE registrations TO rubrica_signer;
GRANT SELECT ON TABLE registrations TO rubrica_api;
GRANT SELECT ON TABLE registrations TO rubrica_registrar;
GRANT USAGE ON SEQUENCE registrations_id_seq TO rubrica_api;
GRANT USAGE ON SEQUENCE registrations_id_seq TO rubrica_signer;
GRANT SELECT,INSERT ON TABLE reminders TO rubrica_signer;
GRANT SELECT ON TABLE requests TO rubrica_signer;
GRANT SELECT ON TABLE requests TO rubrica_api;
GRANT INSERT(id) ON TABLE requests TO rubrica_api;
GRANT INSERT(application_id) ON TABLE requests TO rubrica_api;
GRANT INSERT(identifier) ON TABLE requests TO rubrica_api;
GRANT INSERT(title) ON TABLE requests TO rubrica_api;
GRANT INSERT(locale) ON TABLE requests TO rubrica_api;
GRANT INSERT(return_url) ON TABLE requests TO rubrica_api;
GRANT INSERT(idempotency_key) ON TABLE requests TO rubrica_api;
GRANT INSERT(body_hash) ON TABLE requests TO rubrica_api;
GRANT UPDATE(state) ON TABLE requests TO rubrica_signer;
GRANT UPDATE(interrupted) ON TABLE requests TO rubrica_signer;
GRANT INSERT(created_at) ON TABLE requests TO rubrica_api;
GRANT INSERT(expires_at) ON TABLE requests TO rubrica_api;
GRANT UPDATE(closed_at) ON TABLE requests TO rubrica_signer;
GRANT INSERT(particulars) ON TABLE requests TO rubrica_api;
GRANT INSERT(rejected) ON TABLE requests TO rubrica_api;
GRANT UPDATE(purged_at) ON TABLE requests TO rubrica_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE return_addresses TO rubrica_signer;
GRANT SELECT ON TABLE return_addresses TO rubrica_api;
GRANT SELECT ON TABLE return_addresses TO rubrica_registrar;
GRANT SELECT,INSERT ON TABLE service_consents TO rubrica_signer;
GRANT SELECT ON TABLE service_consents TO rubrica_api;
GRANT UPDATE(withdrawn_at) ON TABLE service_consents TO rubrica_signer;
GRANT SELECT ON TABLE signature_entries TO rubrica_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sms_counts TO rubrica_signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sms_messages TO rubrica_signer;
GRANT SELECT ON TABLE sms_messages TO rubrica_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE tickets TO rubrica_signer;
GRANT SELECT(hash) ON TABLE tickets TO rubrica_api;
GRANT SELECT(purpose) ON TABLE tickets TO rubrica_api;
GRANT SELECT(request_id) ON TABLE tickets TO rubrica_api;
GRANT SELECT(citizen_id) ON TABLE tickets TO rubrica_api;
GRANT SELECT(credential_id) ON TABLE tickets TO rubrica_api;
GRANT SELECT(verified) ON TABLE tickets TO rubrica_api;
GRANT SELECT(created_at) ON TABLE tickets TO rubrica_api;
GRANT SELECT(expires_at) ON TABLE tickets TO rubrica_api;
GRANT SELECT(spent_at) ON TABLE tickets TO rubrica_api;
GRANT SELECT(replaces) ON TABLE tickets TO rubrica_api;
GRANT SELECT(via) ON TABLE tickets TO rubrica_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE token_keys TO rubrica_signer;
GRANT SELECT ON TABLE video_registrations TO rubrica_signer;
GRANT SELECT ON TABLE video_registrations TO rubrica_api;
GRANT SELECT ON TABLE video_registrations TO rubrica_registrar;
GRANT INSERT(id) ON TABLE video_registrations TO rubrica_api;
GRANT INSERT(provider) ON TABLE video_registrations TO rubrica_api;
GRANT INSERT(office) ON TABLE video_registrations TO rubrica_api;
GRANT INSERT(identifier) ON TABLE video_registrations TO rubrica_api;
GRANT INSERT(facts) ON TABLE video_registrations TO rubrica_api;
GRANT INSERT(evidence) ON TABLE video_registrations TO rubrica_api;
GRANT INSERT(received_at) ON TABLE video_registrations TO rubrica_api;
GRANT INSERT(state) ON TABLE video_registrations TO rubrica_api;
GRANT UPDATE(state) ON TABLE video_registrations TO rubrica_registrar;
GRANT UPDATE(decided_by) ON TABLE video_registrations TO rubrica_registrar;
GRANT UPDATE(decided_at) ON TABLE video_registrations TO rubrica_registrar;
GRANT UPDATE(reason) ON TABLE video_registrations TO rubrica_registrar;
GRANT UPDATE(turn) ON TABLE video_registrations TO rubrica_registrar;
GRANT UPDATE(turn_until) ON TABLE video_registrations TO rubrica_registrar;
GRANT SELECT,INSERT ON TABLE webhook_deliveries TO rubrica_signer;
GRANT SELECT,DELETE ON TABLE webhook_deliveries TO rubrica_api;
GRANT INSERT(webhook_id) ON TABLE webhook_deliveries TO rubrica_api;
GRANT INSERT(application_id) ON TABLE webhook_deliveries TO rubrica_api;
GRANT INSERT(event_id) ON TABLE webhook_deliveries TO rubrica_api;
GRANT INSERT(type) ON TABLE webhook_deliveries TO rubrica_api;
GRANT INSERT(request_id) ON TABLE webhook_deliveries TO rubrica_api;
GRANT INSERT(request_state) ON TABLE webhook_deliveries TO rubrica_api;
GRANT INSERT(sequence) ON TABLE webhook_deliveries TO rubrica_api;
GRANT INSERT(created_at) ON TABLE webhook_deliveries TO rubrica_api;
GRANT UPDATE(round) ON TABLE webhook_deliveries TO rubrica_api;
GRANT UPDATE(round) ON TABLE webhook_deliveries TO rubrica_signer;
GRANT INSERT(began_at),UPDATE(began_at) ON TABLE webhook_deliveries TO rubrica_api;
GRANT UPDATE(began_at) ON TABLE webhook_deliveries TO rubrica_signer;
GRANT UPDATE(state) ON TABLE webhook_deliveries TO rubrica_api;
GRANT UPDATE(state) ON TABLE webhook_deliveries TO rubrica_signer;
GRANT UPDATE(attempts) ON TABLE webhook_deliveries TO rubrica_api;
GRANT UPDATE(attempts) ON TABLE webhook_deliveries TO rubrica_signer;
GRANT INSERT(next_at),UPDATE(next_at) ON TABLE webhook_deliveries TO rubrica_api;
GRANT UPDATE(next_at) ON TABLE webhook_deliveries TO rubrica_signer;
GRANT UPDATE(last_at) ON TABLE webhook_deliveries TO rubrica_api;
GRANT UPDATE(last_at) ON TABLE webhook_deliveries TO rubrica_signer;
GRANT UPDATE(status) ON TABLE webhook_deliveries TO rubrica_api;
GRANT UPDATE(status) ON TABLE webhook_deliveries TO rubrica_signer;
GRANT UPDATE(problem) ON TABLE webhook_deliveries TO rubrica_api;
GRANT UPDATE(problem) ON TABLE webhook_deliveries TO rubrica_signer;
GRANT UPDATE(ended_at) ON TABLE webhook_deliveries TO rubrica_api;
GRANT UPDATE(ended_at) ON TABLE webhook_deliveries TO rubrica_signer;
GRANT INSERT(envelope_id) ON TABLE webhook_deliveries TO rubrica_api;
GRANT SELECT,INSERT ON TABLE webhooks TO rubrica_signer;
GRANT SELECT ON TABLE webhooks TO rubrica_api;
GRANT SELECT(id) ON TABLE webhooks TO rubrica_registrar;
GRANT SELECT(application_id) ON TABLE webhooks TO rubrica_registrar;
GRANT SELECT(url) ON TABLE webhooks TO rubrica_registrar;
GRANT SELECT(created_at) ON TABLE webhooks TO rubrica_registrar;
GRANT UPDATE(stopped_at) ON TABLE webhooks TO rubrica_signer;
GRANT UPDATE(stopped_at) ON TABLE webhooks TO rubrica_api;
GRANT SELECT(stopped_at) ON TABLE webhooks TO rubrica_registrar;
GRANT UPDATE(removed_at) ON TABLE webhooks TO rubrica_signer;
GRANT SELECT(removed_at) ON TABLE webhooks TO rubrica_registrar;
