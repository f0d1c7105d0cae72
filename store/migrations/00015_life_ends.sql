-- The end of a life: whoever has died is nobody who left, and does not come back.

-- +goose Up

ALTER TABLE citizens
    DROP CONSTRAINT citizens_status,
    ADD CONSTRAINT citizens_status CHECK (status IN ('registered', 'active', 'blocked', 'deregistered', 'deceased'));
DROP INDEX citizens_phone_unique;
DROP INDEX citizens_associated_unique;
CREATE UNIQUE INDEX citizens_phone_unique ON citizens (phone) WHERE status NOT IN ('deregistered', 'deceased');
CREATE UNIQUE INDEX citizens_associated_unique ON citizens (associated) WHERE status NOT IN ('deregistered', 'deceased');

ALTER TABLE office_acts
    DROP CONSTRAINT office_acts_act,
    ADD CONSTRAINT office_acts_act CHECK (act IN
        ('register', 'renew_registration', 'renew_activation', 'change_phone', 'change_email', 'block', 'unblock', 'revoke', 'suspend', 'release',
         'deregister', 'report_death', 'correct_death', 'present_certificate', 'print_letter', 'close_incident'));

CREATE OR REPLACE VIEW desk_entries WITH (security_barrier) AS
SELECT seq, type, operation, at, payload
FROM log_entries
WHERE payload IS NOT NULL AND type IN (
    'registration.created', 'identity.proved', 'activation.code_issued', 'activation.done', 'password.set', 'password.changed', 'phone.changed', 'mail.changed',
    'citizen.blocked', 'citizen.unblocked', 'citizen.deregistered', 'citizen.deceased', 'citizen.death_corrected',
    'key.revoked', 'key.suspended', 'key.released',
    'incident.opened', 'incident.closed', 'desk.looked_up', 'desk.ordered', 'desk.decided');

-- +goose Down
-- +goose StatementBegin
DO $$ BEGIN RAISE EXCEPTION 'whoever is written down as dead would be somebody who left: restore a backup of the older version'; END $$;
-- +goose StatementEnd
