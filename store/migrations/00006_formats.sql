-- Signatures at all baseline levels, of documents of up to 100 MB: contents lie
-- in pieces and are streamed; what is appended to them lies apart.

-- +goose Up

-- Contents -------------------------------------------------------------------------

CREATE TABLE contents (
    id             text        PRIMARY KEY,
    application_id text        NOT NULL REFERENCES applications,
    size           bigint      NOT NULL CHECK (size > 0),
    sha256         bytea       NOT NULL,
    created_at     timestamptz NOT NULL
);
CREATE INDEX contents_age ON contents (created_at);
COMMENT ON TABLE contents IS 'documents as they came, until the retention is over; one that no request uses is forgotten after a day';

CREATE TABLE content_pieces (
    content_id text    NOT NULL REFERENCES contents ON DELETE CASCADE,
    n          integer NOT NULL CHECK (n >= 0),
    data       bytea   NOT NULL,
    PRIMARY KEY (content_id, n)
);
ALTER TABLE content_pieces ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE content_pieces IS 'a content in pieces of a megabyte, in order';

ALTER TABLE documents
    ADD COLUMN content_id text REFERENCES contents ON DELETE SET NULL,
    ADD COLUMN update     bytea,
    ADD COLUMN options    jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN attributes jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN findings   text[] NOT NULL DEFAULT '{}',
    ADD COLUMN level      text NOT NULL DEFAULT 'B-B' CONSTRAINT documents_level CHECK (level IN ('B-B', 'B-T', 'B-LT', 'B-LTA'));
CREATE INDEX documents_content ON documents (content_id);
COMMENT ON COLUMN documents.update IS 'what a prepared signature appends to a PDF, its hole empty; NULL for CAdES and once the retention is over';
COMMENT ON COLUMN documents.options IS 'how the signature in a PDF is to look';
COMMENT ON COLUMN documents.attributes IS 'optional signed attributes';
COMMENT ON COLUMN documents.findings IS 'what an inspection found and let pass';
COMMENT ON COLUMN documents.level IS 'baseline level that was asked for';

-- Contents that are there move; one piece each, however large: those of before
-- were of 20 MB at most.
INSERT INTO contents (id, application_id, size, sha256, created_at)
SELECT d.request_id || '.' || d.ordinal, r.application_id, d.size, d.sha256, r.created_at
FROM documents d JOIN requests r ON r.id = d.request_id
WHERE d.content IS NOT NULL;
INSERT INTO content_pieces (content_id, n, data)
SELECT request_id || '.' || ordinal, 0, substring(content FROM 1 FOR size::integer)
FROM documents
WHERE content IS NOT NULL;
-- PDFs that wait are prepared anew at their review: what was prepared before is
-- laid out otherwise. Those that are signed have been delivered, or are to be
-- fetched before the upgrade (CHANGELOG).
UPDATE documents
SET content_id = request_id || '.' || ordinal
WHERE content IS NOT NULL AND NOT (format = 'pades' AND cms IS NOT NULL);
UPDATE documents
SET layout = '{}'
WHERE layout IS NOT NULL;
ALTER TABLE documents DROP COLUMN content;

-- Higher levels ---------------------------------------------------------------------

CREATE TABLE augmentations (
    request_id text        NOT NULL,
    ordinal    integer     NOT NULL,
    level      text        NOT NULL CONSTRAINT augmentations_level CHECK (level IN ('B-B', 'B-T', 'B-LT', 'B-LTA')),
    lacking    text        NOT NULL DEFAULT '',
    cms        bytea       NOT NULL,
    tail       bytea       NOT NULL DEFAULT '',
    at         timestamptz NOT NULL,
    PRIMARY KEY (request_id, ordinal),
    FOREIGN KEY (request_id, ordinal) REFERENCES documents ON DELETE CASCADE
);
ALTER TABLE augmentations ALTER COLUMN cms SET STORAGE EXTERNAL;
ALTER TABLE augmentations ALTER COLUMN tail SET STORAGE EXTERNAL;
COMMENT ON TABLE augmentations IS 'signatures with what brought them above B-B, or was to';
COMMENT ON COLUMN augmentations.level IS 'level that is reached';
COMMENT ON COLUMN augmentations.lacking IS 'refusal for which it is not higher';
COMMENT ON COLUMN augmentations.cms IS 'the signature with its unsigned attributes';
COMMENT ON COLUMN augmentations.tail IS 'what follows the signed PDF: validation data, document time-stamps';

-- Who may what ----------------------------------------------------------------------

GRANT SELECT, INSERT, DELETE ON contents, content_pieces TO rubrica_api;
GRANT INSERT (content_id, update, options, attributes, findings, level) ON documents TO rubrica_api;
GRANT UPDATE (content_id, update, layout) ON documents TO rubrica_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON augmentations TO rubrica_api;
GRANT SELECT ON augmentations TO rubrica_signer;

-- +goose Down
-- +goose StatementBegin
DO $$ BEGIN RAISE EXCEPTION 'contents in pieces do not go back: restore a backup of the older version'; END $$;
-- +goose StatementEnd
