-- Of somebody who died without having been registered there is a number and a
-- status, and nothing to name or to call.

-- +goose Up

ALTER TABLE citizens
    DROP CONSTRAINT citizens_given_name_check,
    DROP CONSTRAINT citizens_phone_check,
    DROP CONSTRAINT citizens_email_check,
    ADD CONSTRAINT citizens_given_name_check CHECK (given_name <> '' OR status IN ('deregistered', 'deceased')),
    ADD CONSTRAINT citizens_phone_check CHECK (phone LIKE '+%' OR status IN ('deregistered', 'deceased')),
    ADD CONSTRAINT citizens_email_check CHECK (email LIKE '%@%' OR status IN ('deregistered', 'deceased'));

-- +goose Down

ALTER TABLE citizens
    DROP CONSTRAINT citizens_given_name_check,
    DROP CONSTRAINT citizens_phone_check,
    DROP CONSTRAINT citizens_email_check,
    ADD CONSTRAINT citizens_given_name_check CHECK (given_name <> ''),
    ADD CONSTRAINT citizens_phone_check CHECK (phone LIKE '+%'),
    ADD CONSTRAINT citizens_email_check CHECK (email LIKE '%@%');
