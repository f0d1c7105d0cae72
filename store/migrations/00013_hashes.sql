-- Signatures over hashes: the document itself never comes, and what the key makes
-- is handed out once.

-- +goose Up

ALTER TABLE documents
    DROP CONSTRAINT documents_format,
    ADD CONSTRAINT documents_format CHECK (format IN ('pades', 'cades-detached', 'cades-attached', 'hash')),
    ADD COLUMN given bytea,
    ADD CONSTRAINT documents_given CHECK (format <> 'hash' OR given IS NOT NULL),
    ADD CONSTRAINT documents_given_fixed CHECK (given IS NULL OR digest IS NULL OR digest = given);
COMMENT ON COLUMN documents.given IS 'a hash, of the algorithm of hash, that came in the place of the document';
COMMENT ON COLUMN documents.cms IS 'the signature as it was made: CMS, or of a hash the bare value';

CREATE TABLE handed_out (
    request_id text        NOT NULL,
    ordinal    integer     NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (request_id, ordinal),
    FOREIGN KEY (request_id, ordinal) REFERENCES documents ON DELETE CASCADE
);
COMMENT ON TABLE handed_out IS 'signatures over hashes that have been handed out, each once';

GRANT SELECT ON handed_out TO rubrica_api, rubrica_signer;
GRANT INSERT ON handed_out TO rubrica_api;
GRANT INSERT (given, hash) ON documents TO rubrica_api;
