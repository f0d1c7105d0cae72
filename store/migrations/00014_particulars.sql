-- What a back end tells the citizen about a request, and which of its documents
-- could not be taken in.

-- +goose Up

ALTER TABLE requests
    ADD COLUMN particulars jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN rejected    jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN requests.particulars IS 'labels and values that the citizen reads beside the title';
COMMENT ON COLUMN requests.rejected IS 'documents that were sent and could not be taken in: position, name and why';
GRANT INSERT (particulars, rejected) ON requests TO rubrica_api;

-- +goose Down
ALTER TABLE requests DROP COLUMN particulars, DROP COLUMN rejected;
