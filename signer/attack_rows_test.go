package signer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// doors are three requests of Ana's at three points of the ceremony: whatever
// is done to her rows, none of them may lead to a signature.
type doors struct {
	*spine

	in        *insider
	ana       string // id of her row
	password  string
	open      string // to be identified for
	answered  string // the code has been sent
	session   signer.Session
	code      signer.Code
	consented string // the consent waits
	sad       signer.SAD
}

func (s *spine) doors(in *insider, password string) *doors {
	s.Helper()
	d := &doors{spine: s, in: in, ana: s.citizen(ana), password: password}
	s.clock.advance(time.Hour)
	d.consented = s.ask(ana, "consentido")
	d.sad = s.consentTo(d.consented, ana, password)
	s.clock.advance(time.Minute)
	d.answered = s.ask(ana, "preguntado")
	d.session = s.again(d.answered, password)
	s.fix(d.answered, d.session)
	s.send(d.session, signer.ForSignature)
	d.code = s.phone.last().Code
	d.open = s.ask(ana, "por abrir")
	s.clock.advance(time.Minute) // another code could be sent
	return d
}

// shut tries them all. Tampered says that each must name the reason, and the
// log must tell.
func (d *doors) shut(what string, tampered bool) {
	d.Helper()
	lent, sent, told := d.keys.lent.Load(), len(d.phone.sent), d.logged("citizen.seal_broken", d.ana)
	var codes []policies.Code
	if tampered {
		codes = []policies.Code{policies.RecordTampered}
	}
	_, err := d.identify(d.open, ana, d.password)
	d.refused(what+": identifying", err, codes...)
	d.refused(what+": answering", d.answer(d.session, d.code), codes...)
	d.refused(what+": spending a consent", d.module.Sign(d.Context(), d.sad), codes...)
	if tampered {
		for _, purpose := range []signer.Purpose{signer.ForSignature, signer.ForCertificate} {
			_, err = d.module.SendCode(d.Context(), signer.CodeOrder{Ticket: d.session.Ticket, Purpose: purpose})
			d.refused(what+": asking for a code", err, codes...)
		}
		if d.logged("citizen.seal_broken", d.ana) <= told {
			d.Errorf("%s: the log does not tell", what)
		}
	}
	if len(d.phone.sent) != sent {
		d.Errorf("%s: a code went to %s", what, d.phone.last().Phone)
	}
	for _, request := range []string{d.open, d.answered, d.consented} {
		d.unsigned(what, request, lent)
	}
}

// sign shows that the consent was good all along.
func (d *doors) sign() {
	d.Helper()
	if err := d.module.Sign(d.Context(), d.sad); err != nil {
		d.Errorf("as it was: %v", err)
	}
}

// citizen gives the id that Ana's and Eva's rows have.
func (s *spine) citizen(dni string) string {
	s.Helper()
	c, _, err := s.db.CitizenByIdentifier(s.Context(), dni)
	if err != nil {
		s.Fatalf("reading a citizen: %v", err)
	}
	return c.ID
}

// row is what altering a column does.
type row struct {
	tampered []string // refused as tampered with, and in the log
	shut     []string // refused some other way
}

// Whatever somebody with psql writes into a citizen's rows, nothing is signed
// and no code goes anywhere. The lists must name every column.
func TestAlteredRecord(t *testing.T) {
	t.Parallel()
	overEither(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.activate(eva, evaPhone)
		_, _ = s.consent(eva, password, "de Eva")
		in := s.insider()
		in.keep("first") // Ana has no key yet
		d := s.doors(in, password)
		in.keep("before")
		names := strings.NewReplacer(":ana", "'"+s.citizen(ana)+"'", ":eva", "'"+s.citizen(eva)+"'")
		for table, columns := range alteredRecords() {
			for _, column := range in.columns(table) {
				r, known := columns[column]
				if !known {
					s.Errorf("nobody has said what altering %s.%s does", table, column)
				}
				for n, sql := range append(r.tampered, r.shut...) {
					in.bring("before")
					in.alter(names.Replace(sql))
					d.shut(fmt.Sprintf("%s.%s %d", table, column, n), n < len(r.tampered))
				}
			}
		}
		in.bring("before")
		d.sign()
	})
}

func alteredRecords() map[string]map[string]row {
	citizens := func(assignment string) string { return `UPDATE citizens SET ` + assignment + ` WHERE id = :ana` }
	registrations := func(assignment string) string {
		return `UPDATE registrations SET ` + assignment + ` WHERE citizen_id = :ana`
	}
	credentials := func(assignment string) string {
		return `UPDATE credentials k SET ` + assignment + ` WHERE k.citizen_id = :ana`
	}
	const anas, evas = `(SELECT id FROM credentials WHERE citizen_id = :ana)`, `(SELECT id FROM credentials WHERE citizen_id = :eva)`
	certificates := func(assignment string) string {
		return `UPDATE certificates z SET ` + assignment + ` WHERE z.credential_id = ` + anas
	}
	ofEva := func(column string) string {
		return credentials(fmt.Sprintf(`%s = (SELECT o.%[1]s FROM credentials o WHERE o.citizen_id = :eva)`, column))
	}
	tampered := func(sql ...string) row { return row{tampered: sql} }
	nothing := row{} // with what it gains
	return map[string]map[string]row{
		"citizens": {
			"id":             {shut: []string{citizens(`id = 'another'`)}},
			"identifier":     {shut: []string{citizens(`identifier = '00000000T'`), swap("citizens", "identifier", "id = :ana", "id = :eva")}},
			"given_name":     tampered(citizens(`given_name = 'Eva'`)),
			"surnames":       tampered(citizens(`surnames = 'Otra'`)),
			"phone":          tampered(citizens(`phone = '+34600999999'`), swap("citizens", "phone", "id = :ana", "id = :eva")),
			"email":          tampered(citizens(`email = 'mallory@example.es'`)),
			"locale":         nothing, // an SMS in another language
			"status":         tampered(citizens(`status = 'blocked'`), citizens(`status = 'registered'`)),
			"document_until": tampered(citizens(`document_until = document_until + 365`)),
			"created_at":     nothing, // never read
			// What decides about issuing, logging in and notices.
			"phone_changed_at": tampered(citizens(`phone_changed_at = now() - interval '1 year'`)),
			"associated":       tampered(citizens(`associated = sha256('mallory')`)),
			"notices":          tampered(citizens(`notices = 'none'`)),
			"version":          tampered(citizens(`version = version + 1`), citizens(`version = version - 1`)),
			"seal_epoch":       {[]string{citizens(`seal_epoch = 0`)}, []string{citizens(`seal_epoch = 2`)}},
			"seal": tampered(citizens(`seal = ''`), citizens(`seal = set_byte(seal, 0, get_byte(seal, 0) # 1)`),
				citizens(`seal = (SELECT seal FROM citizens WHERE id = :eva)`),
				citizens(`(seal, version) = (SELECT seal, version FROM citizens WHERE id = :eva)`)),
		},
		"registrations": {
			"id":         nothing, // orders acts of the same moment
			"citizen_id": {shut: []string{registrations(`citizen_id = :eva`)}, tampered: []string{swap("registrations", "citizen_id", "citizen_id = :ana", "citizen_id = :eva", "assured_at = assured_at - interval '1 day'")}},
			"mode":       tampered(registrations(`mode = 'dnie'`)),
			"level":      tampered(registrations(`level = 'basic'`)),
			"office":     nothing, // the log has it
			"officer":    nothing, // the log has it
			"evidence":   nothing, // the log has it
			"assured_at": tampered(registrations(`assured_at = assured_at + interval '1 microsecond'`),
				`INSERT INTO registrations (citizen_id, mode, level, office, officer, assured_at) VALUES (:ana, 'office', 'advanced', 'x', 'x', now() + interval '1 year')`),
		},
		"credentials": {
			"id":               {shut: []string{credentials(`id = 'another'`)}},
			"citizen_id":       tampered(swap("credentials", "citizen_id", "citizen_id = :ana", "citizen_id = :eva")),
			"generation":       tampered(credentials(`generation = generation + 1`), credentials(`generation = generation - 1`)),
			"state":            tampered(credentials(`state = 'empty'`)),
			"algorithm":        tampered(credentials(`algorithm = 'rsa-3072'`), credentials(`algorithm = 'ec-p384'`)),
			"public_key":       tampered(ofEva("public_key")),
			"salt":             nothing, // no password opens the box until it is put back
			"argon_memory_kib": tampered(credentials(`argon_memory_kib = 8`)),
			"argon_passes":     tampered(credentials(`argon_passes = 2`)),
			"argon_lanes":      tampered(credentials(`argon_lanes = 2`)),
			"box": {shut: []string{
				ofEva("box"), credentials(`(box, salt) = (SELECT o.box, o.salt FROM credentials o WHERE o.citizen_id = :eva)`),
				credentials(`box = (SELECT f.box FROM kept.first_credentials f WHERE f.id = k.id)`), // under the same sealing key
				credentials(`box = set_byte(box, 20, get_byte(box, 20) # 1)`), credentials(`box = ''`),
			}},
			"created_at":   nothing, // never read
			"keeper":       tampered(credentials(`keeper = CASE keeper WHEN 'token' THEN 'sealed' ELSE 'token' END, key_label = CASE keeper WHEN 'token' THEN '' ELSE 'citizen-x' END`)),
			"kek_epoch":    tampered(credentials(`kek_epoch = 2`)),
			"pepper_epoch": tampered(credentials(`pepper_epoch = 2`)),
			"key_label":    tampered(credentials(`key_label = 'root', keeper = 'token'`)),
			"password_at":  tampered(credentials(`password_at = password_at + interval '1 year'`)),
		},
		"certificates": {
			"serial":        tampered(certificates(`serial = 'ff'`)),
			"credential_id": {tampered: []string{certificates(`credential_id = ` + evas)}, shut: []string{swap("certificates", "credential_id", "credential_id = "+anas, "credential_id = "+evas)}},
			"state":         tampered(certificates(`state = 'interrupted', der = NULL`)),
			"der":           tampered(certificates(`der = (SELECT o.der FROM certificates o WHERE o.credential_id = ` + evas + `)`)),
			"not_before":    tampered(certificates(`not_before = not_before - interval '1 second'`)),
			"not_after":     tampered(certificates(`not_after = not_after + interval '1 year'`)),
			"lease_until":   nothing, // of its intent, which has ended
			"request_id":    nothing, // the log has it
			"revoked_at":    tampered(certificates(`revoked_at = now(), reason = 1`)),
			// A suspension turned into something else, or one that never was.
			"reason":         tampered(certificates(`revoked_at = now(), reason = 6`)),
			"issuer":         nothing, // which list would name it; what it says itself counts
			"shard":          nothing,
			"status_version": nothing, // of kept answers about it
		},
	}
}

// swap exchanges a value between two rows, whatever index forbids it on the way.
func swap(table, column, one, other string, and ...string) string {
	also := ""
	for _, a := range and {
		also = ", " + a
	}
	return fmt.Sprintf(`
		CREATE TEMPORARY TABLE swapped ON COMMIT DROP AS
			SELECT (SELECT %[2]s FROM %[1]s WHERE %[3]s) AS a, (SELECT %[2]s FROM %[1]s WHERE %[4]s) AS b;
		CREATE TEMPORARY TABLE moved ON COMMIT DROP AS SELECT ctid AS row FROM %[1]s WHERE %[4]s;
		UPDATE %[1]s SET %[2]s = '+' WHERE ctid = (SELECT row FROM moved);
		UPDATE %[1]s SET %[2]s = (SELECT b FROM swapped)%[5]s WHERE %[3]s;
		UPDATE %[1]s SET %[2]s = (SELECT a FROM swapped)%[5]s WHERE %[2]s = '+'`, table, column, one, other, also)
}
