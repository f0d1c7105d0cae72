-- Several signers of the same documents, at the same time or one after the other:
-- each by a request of their own.

-- +goose Up

CREATE TABLE envelopes (
    id              text        PRIMARY KEY,
    application_id  text        NOT NULL REFERENCES applications,
    idempotency_key text        NOT NULL,
    body_hash       bytea       NOT NULL,
    title           text        NOT NULL,
    ordering        text        NOT NULL CONSTRAINT envelopes_ordering CHECK (ordering IN ('parallel', 'sequential')),
    state           text        NOT NULL DEFAULT 'pending'
        CONSTRAINT envelopes_state CHECK (state IN ('pending', 'completed', 'rejected', 'expired', 'cancelled')),
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    closed_at       timestamptz,
    CONSTRAINT envelopes_idempotency UNIQUE (application_id, idempotency_key),
    CONSTRAINT envelopes_closed CHECK ((state = 'pending') = (closed_at IS NULL))
);
COMMENT ON TABLE envelopes IS 'documents that several citizens sign';

CREATE TABLE envelope_signers (
    envelope_id text    NOT NULL REFERENCES envelopes,
    position    integer NOT NULL CHECK (position BETWEEN 1 AND 20),
    identifier  text    NOT NULL,
    title       text    NOT NULL,
    locale      text    NOT NULL,
    options     jsonb   NOT NULL,
    request_id  text    CONSTRAINT envelope_signers_request UNIQUE REFERENCES requests,
    PRIMARY KEY (envelope_id, position),
    CONSTRAINT envelope_signers_once UNIQUE (envelope_id, identifier)
);
COMMENT ON COLUMN envelope_signers.options IS 'how the signature is to look in each document, in their order';
COMMENT ON COLUMN envelope_signers.request_id IS 'NULL while it is not this signer''s turn';

-- What others have signed before stands between a PDF as it came and what the
-- next one signs.
ALTER TABLE documents
    ADD COLUMN revision integer NOT NULL DEFAULT 0 CHECK (revision >= 0),
    ADD COLUMN prefix   bytea,
    ADD CONSTRAINT documents_prefix CHECK (prefix IS NULL OR revision > 0);
ALTER TABLE documents ALTER COLUMN prefix SET STORAGE EXTERNAL;
COMMENT ON COLUMN documents.revision IS 'how many signatures of its envelope stand in a PDF before this one';
COMMENT ON COLUMN documents.prefix IS 'what they have appended to it; NULL once the retention is over';

ALTER TABLE requests
    DROP CONSTRAINT requests_state,
    DROP CONSTRAINT requests_closed,
    ADD CONSTRAINT requests_state CHECK (state IN ('received', 'pending', 'signing', 'signed', 'refused', 'expired', 'withdrawn')),
    ADD CONSTRAINT requests_closed CHECK ((state IN ('signed', 'refused', 'expired', 'withdrawn')) = (closed_at IS NOT NULL));

ALTER TABLE webhook_deliveries
    ALTER COLUMN request_id DROP NOT NULL,
    ADD COLUMN envelope_id text REFERENCES envelopes,
    ADD CONSTRAINT webhook_deliveries_about CHECK (num_nonnulls(request_id, envelope_id) = 1);
CREATE UNIQUE INDEX webhook_deliveries_envelope ON webhook_deliveries (envelope_id, webhook_id) WHERE envelope_id IS NOT NULL;
COMMENT ON COLUMN webhook_deliveries.envelope_id IS 'of an event about an envelope: there is one, its end';

GRANT SELECT ON envelopes, envelope_signers TO rubrica_api, rubrica_signer;
GRANT INSERT (id, application_id, idempotency_key, body_hash, title, ordering, created_at, expires_at) ON envelopes TO rubrica_api;
GRANT UPDATE (state, closed_at) ON envelopes TO rubrica_api;
GRANT INSERT (envelope_id, position, identifier, title, locale, options, request_id) ON envelope_signers TO rubrica_api;
GRANT UPDATE (request_id) ON envelope_signers TO rubrica_api;
GRANT UPDATE (revision, prefix) ON documents TO rubrica_api;
GRANT INSERT (envelope_id) ON webhook_deliveries TO rubrica_api;

-- +goose Down
-- +goose StatementBegin
DO $$ BEGIN RAISE EXCEPTION 'signatures in a row do not come apart: restore a backup of the older version'; END $$;
-- +goose StatementEnd
