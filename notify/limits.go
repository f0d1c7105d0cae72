package notify

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Counts counts messages. *store.DB fulfils it.
type Counts interface {
	// CountSMS adds one message of an hour to each of the subjects, unless one
	// has had its limit: then nothing is counted, and it is named.
	CountSMS(ctx context.Context, hour time.Time, subjects []signer.SMSQuota) (full string, err error)
}

// SMSLimits bound what pumping costs: messages that somebody makes the service
// send to numbers whose operator pays them for each. Zero is no limit.
type SMSLimits struct {
	// Allowed are the beginnings of numbers that messages go to; none: all. Spain's
	// mobiles begin with 6 and 7 (Plan Nacional de Numeración Telefónica, Real
	// Decreto 2296/2004, annex, and Resolución of 2 December 2009 for 7).
	Allowed   []string
	PerNumber int // an hour
	// PerPrefix bounds a block of 10,000 numbers, as they are let out.
	PerPrefix int
	Service   int // all of it, an hour
}

// blockDigits is how many last digits the numbers of a block differ in.
const blockDigits = 4

// Limited lets messages through to Next within limits.
type Limited struct {
	Next   Sender
	Counts Counts
	Limits SMSLimits
	Now    func() time.Time
}

// Send implements Sender. What is refused is a *policies.Refusal: phone_refused
// for a number that is not allowed, code_too_many for one that has had its
// share, sms_failed where others have used up what there is.
func (l *Limited) Send(ctx context.Context, m Message) error {
	starts := func(prefix string) bool { return strings.HasPrefix(m.To, prefix) }
	if len(l.Limits.Allowed) > 0 && !slices.ContainsFunc(l.Limits.Allowed, starts) {
		return policies.Refuse(policies.PhoneRefused)
	}
	hour := l.Now().UTC().Truncate(time.Hour)
	full, err := l.Counts.CountSMS(ctx, hour, l.quotas(m.To))
	switch {
	case err != nil:
		return err
	case full == signer.QuotaNumber:
		wait := hour.Add(time.Hour).Sub(l.Now())
		minutes := int(wait/time.Minute) + 1
		return policies.Refuse(policies.CodeTooMany, "limit", strconv.Itoa(l.Limits.PerNumber), "minutes", strconv.Itoa(minutes)).After(wait)
	case full != "":
		return fmt.Errorf("%w: the limit of the %s is reached", policies.Refuse(policies.SMSFailed), full)
	}
	return l.Next.Send(ctx, m)
}

func (l *Limited) quotas(to string) []signer.SMSQuota {
	all := []signer.SMSQuota{
		{Kind: signer.QuotaNumber, Subject: to, Limit: l.Limits.PerNumber},
		{Kind: signer.QuotaPrefix, Subject: to[:max(0, len(to)-blockDigits)], Limit: l.Limits.PerPrefix},
		{Kind: signer.QuotaService, Limit: l.Limits.Service},
	}
	return slices.DeleteFunc(all, func(q signer.SMSQuota) bool { return q.Limit <= 0 })
}
