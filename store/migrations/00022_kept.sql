-- What is built around hashes, and fetched later, waits as other documents do: its
-- level is reached by the same job, and it is forgotten by the same rule.

-- +goose Up

ALTER TABLE documents
    ADD COLUMN built text,
    ADD CONSTRAINT documents_built CHECK (built IS NULL OR format = 'hash' AND built IN ('pades', 'cades-detached', 'cades-attached')),
    DROP CONSTRAINT documents_layout,
    ADD CONSTRAINT documents_layout CHECK (format = 'hash' OR (format = 'pades') = (layout IS NOT NULL));
COMMENT ON COLUMN documents.built IS 'what was built around a hash and waits to be fetched, once; NULL before and after, and once the retention is over';

GRANT UPDATE (built, level) ON documents TO rubrica_api;

-- +goose Down

REVOKE UPDATE (built, level) ON documents FROM rubrica_api;
ALTER TABLE documents
    DROP CONSTRAINT documents_built,
    DROP COLUMN built,
    DROP CONSTRAINT documents_layout,
    ADD CONSTRAINT documents_layout CHECK ((format = 'pades') = (layout IS NOT NULL));
