-- The doors of an application by name: version 1 and version 2 of the Cloud
-- Signature Consortium's interface are two, and what citizens grant is a third.

-- +goose Up

ALTER TABLE applications DROP CONSTRAINT applications_doors;
UPDATE applications
SET doors = array_remove(doors, 'csc') || ARRAY['csc-v1', 'csc-v2', 'oauth']
WHERE 'csc' = ANY (doors);
ALTER TABLE applications
    ADD CONSTRAINT applications_doors CHECK (doors <@ ARRAY['rest', 'csc-v1', 'csc-v2', 'oauth', 'fire']),
    ADD CONSTRAINT applications_formats CHECK (formats <@ ARRAY['pades', 'cades-detached', 'cades-attached', 'hash']),
    ADD CONSTRAINT applications_levels CHECK (levels <@ ARRAY['B-B', 'B-T', 'B-LT', 'B-LTA']);
ALTER TABLE office_acts
    DROP CONSTRAINT office_acts_act,
    ADD CONSTRAINT office_acts_act CHECK (act IN (
        'register', 'renew_registration', 'renew_activation', 'change_phone', 'change_email', 'block', 'unblock', 'revoke', 'suspend',
        'release', 'deregister', 'report_death', 'correct_death', 'present_certificate', 'print_letter', 'close_incident', 'change_application'));
GRANT SELECT (contact, switches, doors, formats, levels, calls, created_at) ON applications TO rubrica_registrar;
GRANT SELECT ON return_addresses TO rubrica_registrar;
GRANT SELECT (application_id, kid, not_before, not_after, added_at) ON application_keys TO rubrica_registrar;
GRANT SELECT (application_id, sha256, not_before, not_after, added_at) ON application_certificates TO rubrica_registrar;

-- +goose Down

DELETE FROM office_acts WHERE act = 'change_application';
ALTER TABLE office_acts
    DROP CONSTRAINT office_acts_act,
    ADD CONSTRAINT office_acts_act CHECK (act IN (
        'register', 'renew_registration', 'renew_activation', 'change_phone', 'change_email', 'block', 'unblock', 'revoke', 'suspend',
        'release', 'deregister', 'report_death', 'correct_death', 'present_certificate', 'print_letter', 'close_incident'));
REVOKE SELECT (contact, switches, doors, formats, levels, calls, created_at) ON applications FROM rubrica_registrar;
REVOKE SELECT ON return_addresses FROM rubrica_registrar;
REVOKE SELECT (application_id, kid, not_before, not_after, added_at) ON application_keys FROM rubrica_registrar;
REVOKE SELECT (application_id, sha256, not_before, not_after, added_at) ON application_certificates FROM rubrica_registrar;
ALTER TABLE applications
    DROP CONSTRAINT applications_levels,
    DROP CONSTRAINT applications_formats,
    DROP CONSTRAINT applications_doors;
UPDATE applications
SET doors = array_remove(array_remove(array_remove(doors, 'csc-v1'), 'csc-v2'), 'oauth') || ARRAY['csc']
WHERE doors && ARRAY['csc-v1', 'csc-v2', 'oauth'];
ALTER TABLE applications ADD CONSTRAINT applications_doors CHECK (doors <@ ARRAY['rest', 'csc', 'fire']);
