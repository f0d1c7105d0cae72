package catalogue

import (
	"fmt"
	"strconv"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	textnumber "golang.org/x/text/number"
)

// Messages speaks one language, in one time zone. It is immutable and safe for
// concurrent use.
type Messages struct {
	catalogue *Catalogue
	tag       language.Tag
	voices    []voice // in the order in which they are asked, the source last
	zone      *time.Location
}

// Locale is the language's BCP 47 tag.
func (m *Messages) Locale() string { return m.tag.String() }

// In tells times in another zone: the Canary Islands are an hour behind.
func (m *Messages) In(zone *time.Location) *Messages {
	moved := *m
	moved.zone = zone
	return &moved
}

// Has tells whether the message exists in this language or one that stands in.
func (m *Messages) Has(id string) bool {
	_, known := m.voice(id)
	return known
}

// Text gives a message with its placeholders filled. What cannot be said shows
// as its identifier: a reader is better served by a page with one odd word
// than by none. [Messages.Lookup] tells why.
func (m *Messages) Text(id string, params map[string]any) string {
	text, err := m.Lookup(id, params)
	if err != nil {
		return id
	}
	return text
}

// Lookup is Text that says what is wrong: [ErrUnknown] or [ErrParams].
func (m *Messages) Lookup(id string, params map[string]any) (string, error) {
	speaker, ok := m.voice(id)
	if !ok {
		return "", fmt.Errorf("%w %q", ErrUnknown, id)
	}
	known := speaker.messages[id]
	config := &i18n.LocalizeConfig{MessageID: id, TemplateData: m.spell(params)}
	for _, name := range known.params {
		if _, given := params[name]; !given {
			return "", fmt.Errorf("%w %q of message %q", ErrParams, name, id)
		}
	}
	if known.count != "" {
		count, ok := number(params[known.count])
		if !ok {
			return "", fmt.Errorf("%w: %q of message %q is not a number", ErrParams, known.count, id)
		}
		config.PluralCount = count
	}
	// The localizer reports a plural form that stands in for another as an error
	// beside its text; the text is what counts here.
	text, err := speaker.localizer.Localize(config)
	if text == "" && err != nil {
		return "", fmt.Errorf("composing message %q: %w", id, err)
	}
	return text, nil
}

// voice finds who says a message.
func (m *Messages) voice(id string) (voice, bool) {
	for _, v := range m.voices {
		if _, knows := v.messages[id]; knows {
			return v, true
		}
	}
	return voice{}, false
}

// spell writes values that are not text the way the language does.
func (m *Messages) spell(params map[string]any) map[string]any {
	spelt := make(map[string]any, len(params))
	for name, value := range params {
		switch v := value.(type) {
		case time.Time:
			spelt[name] = m.Moment(v)
		case time.Duration:
			spelt[name] = m.Duration(v)
		default:
			spelt[name] = value
		}
	}
	return spelt
}

// Moment tells day, time and zone: "21 de noviembre de 2026 a las 10:43 (hora
// peninsular)".
func (m *Messages) Moment(t time.Time) string {
	return m.Text("time.moment", map[string]any{"date": m.Day(t), "time": m.clock(t), "zone": m.Zone(t)})
}

// Instant is Moment to the second: "21 de noviembre de 2026 a las 10:43:07
// (hora peninsular)".
func (m *Messages) Instant(t time.Time) string {
	return m.Text("time.moment", map[string]any{"date": m.Day(t), "time": t.In(m.zone).Format(time.TimeOnly), "zone": m.Zone(t)})
}

// Stamp is an instant in figures, without its zone, for tables that tell it
// once.
func (m *Messages) Stamp(t time.Time) string {
	return m.Figures(t) + " " + t.In(m.zone).Format(time.TimeOnly)
}

// Clock tells the time of day and its zone: "10:43 (hora peninsular)".
func (m *Messages) Clock(t time.Time) string {
	return m.Text("time.clock", map[string]any{"time": m.clock(t), "zone": m.Zone(t)})
}

// Day tells the day: "21 de noviembre de 2026".
func (m *Messages) Day(t time.Time) string {
	t = t.In(m.zone)
	year, day := strconv.Itoa(t.Year()), strconv.Itoa(t.Day())
	if m.Locale() == "eu" {
		year, day = year+basqueOf(t.Year()), day+basqueThe(t.Day())
	}
	month := m.Text("time.month."+strconv.Itoa(int(t.Month())), nil)
	return m.Text("time.day", map[string]any{"day": day, "month": month, "year": year})
}

// Figures tells the day where there is little room: "21/11/2026".
func (m *Messages) Figures(t time.Time) string {
	return t.In(m.zone).Format(m.Text("time.day_figures", nil))
}

// basqueOf is the ending of a year that something is of: 2026ko. After the
// consonants in which the words for 1, 5 and 10 end it is -eko: 2025eko
// (Euskaltzaindia, rule 37).
func basqueOf(year int) string {
	switch last := year % 100; {
	case last%10 == 5, last%20 == 1, last%20 == 10:
		return "eko"
	default:
		return "ko"
	}
}

// basqueThe is the article of a day: 22a. The word for eleven has one.
func basqueThe(day int) string {
	if day%20 == 11 {
		return ""
	}
	return "a"
}

// Location is the zone that times are told in.
func (m *Messages) Location() *time.Location { return m.zone }

func (m *Messages) clock(t time.Time) string { return t.In(m.zone).Format("15:04") }

// Zone says the zone as people do where they have a name for it.
func (m *Messages) Zone(t time.Time) string {
	zones := map[string]string{"Europe/Madrid": "time.zone_peninsula", "Atlantic/Canary": "time.zone_canaries"}
	if id, named := zones[m.zone.String()]; named {
		return m.Text(id, nil)
	}
	return t.In(m.zone).Format("MST")
}

// Duration tells a span in words, rounded up to seconds: "4 minutos y 31
// segundos". From an hour on seconds are left out.
func (m *Messages) Duration(d time.Duration) string {
	seconds := max(0, int((d+time.Second-1)/time.Second))
	if seconds >= 3600 {
		return m.units("time.hours", seconds/3600, "time.minutes", seconds%3600/60)
	}
	return m.units("time.minutes", seconds/60, "time.seconds", seconds%60)
}

func (m *Messages) units(larger string, many int, smaller string, few int) string {
	most := m.Text(larger, map[string]any{"number": many})
	least := m.Text(smaller, map[string]any{"number": few})
	switch {
	case many == 0:
		return least
	case few == 0:
		return most
	default:
		return m.Text("time.and", map[string]any{"larger": most, "smaller": least})
	}
}

// Size tells a number of bytes as file managers do, in decimal units: "212 KB".
func (m *Messages) Size(bytes int64) string {
	printer := message.NewPrinter(m.tag)
	switch {
	case bytes < 1000:
		return printer.Sprintf("%d bytes", bytes)
	case bytes < 1_000_000:
		return printer.Sprintf("%d KB", (bytes+500)/1000)
	default:
		return printer.Sprintf("%v MB", textnumber.Decimal(float64(bytes)/1e6, textnumber.MaxFractionDigits(1)))
	}
}
