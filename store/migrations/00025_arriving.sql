-- An upload is written as it arrives: what is not all there has neither size nor
-- hash, and nobody can name it.

-- +goose Up

ALTER TABLE contents
    ALTER COLUMN size DROP NOT NULL,
    ALTER COLUMN sha256 DROP NOT NULL,
    ADD CONSTRAINT contents_arrived CHECK ((size IS NULL) = (sha256 IS NULL));
COMMENT ON COLUMN contents.sha256 IS 'NULL while the content arrives, as its size';

GRANT UPDATE (size, sha256) ON contents TO rubrica_api;

-- +goose Down

REVOKE UPDATE (size, sha256) ON contents FROM rubrica_api;
DELETE FROM contents WHERE sha256 IS NULL;
ALTER TABLE contents
    DROP CONSTRAINT contents_arrived,
    ALTER COLUMN size SET NOT NULL,
    ALTER COLUMN sha256 SET NOT NULL;
