-- What of a request is forgotten is looked for among those of which it has not
-- been, not among all that ever were.

-- +goose Up

ALTER TABLE requests ADD COLUMN purged_at timestamptz;
COMMENT ON COLUMN requests.purged_at IS 'when its documents were forgotten';
CREATE INDEX requests_unpurged ON requests (closed_at) WHERE purged_at IS NULL;
GRANT UPDATE (purged_at) ON requests TO rubrica_api;

-- +goose Down

REVOKE UPDATE (purged_at) ON requests FROM rubrica_api;
DROP INDEX requests_unpurged;
ALTER TABLE requests DROP COLUMN purged_at;
