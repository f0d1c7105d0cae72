-- Webhooks: back ends are told of what becomes of their requests.

-- +goose Up

CREATE TABLE webhooks (
    id             text        PRIMARY KEY,
    application_id text        NOT NULL REFERENCES applications,
    url            text        NOT NULL CONSTRAINT webhooks_url CHECK (url ~ '^https?://' AND length(url) <= 2000),
    created_at     timestamptz NOT NULL,
    stopped_at     timestamptz,
    removed_at     timestamptz
);
CREATE UNIQUE INDEX webhooks_one ON webhooks (application_id, url) WHERE removed_at IS NULL;
COMMENT ON TABLE webhooks IS 'addresses that applications have registered to be told at';
COMMENT ON COLUMN webhooks.stopped_at IS 'the address answered 410 (Gone): it is told nothing more until it is added again';

CREATE TABLE webhook_deliveries (
    id             text        PRIMARY KEY DEFAULT replace(gen_random_uuid()::text, '-', ''),
    webhook_id     text        NOT NULL REFERENCES webhooks,
    application_id text        NOT NULL,
    event_id       text        NOT NULL,
    type           text        NOT NULL,
    request_id     text        NOT NULL REFERENCES requests,
    request_state  text        NOT NULL,
    sequence       integer     NOT NULL CHECK (sequence > 0),
    created_at     timestamptz NOT NULL,
    round          integer     NOT NULL DEFAULT 1,
    began_at       timestamptz NOT NULL,
    state          text        NOT NULL DEFAULT 'waiting'
        CONSTRAINT webhook_deliveries_state CHECK (state IN ('waiting', 'delivered', 'given_up', 'stopped')),
    attempts       integer     NOT NULL DEFAULT 0,
    next_at        timestamptz,
    last_at        timestamptz,
    status         integer     NOT NULL DEFAULT 0,
    problem        text        NOT NULL DEFAULT '',
    ended_at       timestamptz,
    CONSTRAINT webhook_deliveries_ended CHECK ((state = 'waiting') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX webhook_deliveries_sequence ON webhook_deliveries (request_id, sequence, webhook_id);
CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (application_id, created_at DESC, id DESC);
CREATE INDEX webhook_deliveries_states ON webhook_deliveries (application_id, state, created_at DESC, id DESC) WHERE state <> 'delivered';
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook_id) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at);
COMMENT ON TABLE webhook_deliveries IS 'one event for one address; it names a request and its state, and nobody';
COMMENT ON COLUMN webhook_deliveries.sequence IS 'of the event among those of its request, told from the request''s row';
COMMENT ON COLUMN webhook_deliveries.round IS 'a replay begins another: jobs of former rounds do nothing';
COMMENT ON COLUMN webhook_deliveries.began_at IS 'when the round began; tries end 48 hours later';

GRANT SELECT, INSERT ON webhooks, webhook_deliveries TO rubrica_signer;
GRANT UPDATE (stopped_at, removed_at) ON webhooks TO rubrica_signer;
GRANT SELECT ON webhooks, webhook_deliveries TO rubrica_api;
GRANT UPDATE (stopped_at) ON webhooks TO rubrica_api;
GRANT INSERT (webhook_id, application_id, event_id, type, request_id, request_state, sequence, created_at, began_at, next_at)
    ON webhook_deliveries TO rubrica_api;
GRANT UPDATE (round, began_at, state, attempts, next_at, last_at, status, problem, ended_at) ON webhook_deliveries TO rubrica_api, rubrica_signer;
GRANT DELETE ON webhook_deliveries TO rubrica_api;

-- +goose Down
DROP TABLE webhook_deliveries;
DROP TABLE webhooks;
