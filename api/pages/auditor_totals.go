package pages

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
)

const (
	// totalsDays is how much is shown to who names no range.
	totalsDays = 30
	// daysApart is from where on days are too many to tell apart.
	daysApart = 92
)

// startTotals reads the form. What it asks is no secret: the address holds it.
func (d *AuditDoor) startTotals(c echo.Context) error {
	query := url.Values{}
	for _, name := range []string{FieldFrom, FieldTo, FieldApplication} {
		if value := clip(c.FormValue(name)); value != "" {
			query.Set(name, value)
		}
	}
	return seeOther(c, auditTotalsPath+"?"+query.Encode())
}

func (d *AuditDoor) totals(c echo.Context) error {
	ctx := c.Request().Context()
	names, err := d.names(ctx)
	if err != nil {
		return err
	}
	today := d.Now().UTC().Truncate(day)
	view := &AuditTotals{
		Self: c.Request().URL.RequestURI(), Desk: d.desk(c, "totals"), SubmitURL: auditTotalsPath, Applications: choices(names),
		From:        cmp.Or(clip(c.QueryParam(FieldFrom)), today.AddDate(0, 0, 1-totalsDays).Format(time.DateOnly)),
		To:          cmp.Or(clip(c.QueryParam(FieldTo)), today.Format(time.DateOnly)),
		Application: clip(c.QueryParam(FieldApplication)),
	}
	from, to := totalsRange(view, today)
	asking, err := d.Auditors.Identify(c)
	if err != nil {
		return err
	}
	if len(view.Problems) > 0 {
		return d.show(c, http.StatusUnprocessableEntity, view)
	}
	totals, err := d.Auditing.Totals(ctx, asking, from, to)
	if refusal, ok := asRefusal(err); ok && failed(&view.Page, refusal) {
		return d.show(c, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return err
	}
	words := d.Pages.speak(d.Pages.Locale(c.Response(), c.Request()))
	view.draw(totals, names, words)
	return d.show(c, http.StatusOK, view)
}

// totalsRange reads the days, which are those of the totals: whole ones, UTC.
func totalsRange(view *AuditTotals, today time.Time) (from, to time.Time) {
	read := func(field, typed string) time.Time {
		t, err := time.Parse(time.DateOnly, typed)
		if err != nil || t.Year() < 2000 || t.Year() > 9000 {
			view.Fail(field, policies.Refuse(policies.QueryInvalid, "field", field, "reason", "date"))
		}
		return t
	}
	from, to = read(FieldFrom, view.From), read(FieldTo, view.To).AddDate(0, 0, 1)
	switch {
	case len(view.Problems) > 0:
	case !from.Before(to):
		view.Fail(FieldTo, policies.Refuse(policies.QueryInvalid, "field", FieldTo, "reason", "order"))
	case from.After(today):
		view.Fail(FieldFrom, policies.Refuse(policies.QueryInvalid, "field", FieldFrom, "reason", "future"))
	}
	return from, to
}

// draw makes the charts of the totals.
func (t *AuditTotals) draw(totals auditing.Totals, names map[string]string, words *catalogue.Messages) {
	t.Counted, t.Size = totals.Counted, totals.Size
	// Today's row is there when nothing has happened yet; of the future there is none.
	days := newPeriods(totals.From, totals.To, words)
	t.Monthly = days.monthly
	t.Charts = []Chart{
		t.byDay(totals.Signatures, days, words), t.byApplication(totals.Signatures, names, words),
		refusals(totals.Refusals, words), codeFailures(totals.CodeFailures, days, words), confirmations(totals.Confirmations, days, words),
	}
}

// periods are the rows of a chart over time: days, or months if there are many.
type periods struct {
	monthly bool
	starts  []time.Time
	words   *catalogue.Messages
}

func newPeriods(from, to time.Time, words *catalogue.Messages) periods {
	p := periods{monthly: to.Sub(from) > daysApart*day, words: words.In(time.UTC)}
	for at := p.start(from); at.Before(to); at = p.next(at) {
		p.starts = append(p.starts, at)
	}
	return p
}

func (p periods) start(at time.Time) time.Time {
	at = at.UTC().Truncate(day)
	if p.monthly {
		return time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
	return at
}

func (p periods) next(at time.Time) time.Time {
	if p.monthly {
		return at.AddDate(0, 1, 0)
	}
	return at.AddDate(0, 0, 1)
}

func (p periods) label(at time.Time) string {
	if p.monthly {
		return at.Format("01/2006")
	}
	return at.Format("02/01/2006")
}

// rows are one a period, with nothing in them yet.
func (p periods) rows(series int) ([]ChartRow, map[time.Time]int) {
	rows, index := make([]ChartRow, len(p.starts)), make(map[time.Time]int, len(p.starts))
	for i, at := range p.starts {
		rows[i] = ChartRow{Label: p.label(at), Values: make([]int64, series)}
		index[at] = i
	}
	return rows, index
}

// resultSeries are the classes of outcomes, each with the texture that it has
// everywhere.
func resultSeries(words *catalogue.Messages) []Series {
	var all []Series
	for i, result := range auditing.Results() {
		all = append(all, Series{Label: auditWords{words}.outcome(result), Texture: i + 1})
	}
	return all
}

func (t *AuditTotals) byDay(signatures []auditing.SignatureTotal, days periods, words *catalogue.Messages) Chart {
	chart := Chart{Name: "signatures", Series: resultSeries(words)}
	rows, index := days.rows(len(chart.Series))
	filled := false
	for _, s := range signatures {
		i, known := index[days.start(s.Day)]
		column := slices.Index(auditing.Results(), s.Result)
		if known && column >= 0 && (t.Application == "" || t.Application == s.Application) {
			rows[i].Values[column] += s.N
			filled = true
		}
	}
	if filled {
		chart.Rows = rows
	}
	return chart
}

func (t *AuditTotals) byApplication(signatures []auditing.SignatureTotal, names map[string]string, words *catalogue.Messages) Chart {
	chart := Chart{Name: "applications", Series: resultSeries(words), Lying: true}
	sums := make(map[string][]int64)
	for _, s := range signatures {
		column := slices.Index(auditing.Results(), s.Result)
		if column < 0 {
			continue
		}
		if sums[s.Application] == nil {
			sums[s.Application] = make([]int64, len(chart.Series))
		}
		sums[s.Application][column] += s.N
	}
	for _, id := range slices.Sorted(maps.Keys(sums)) {
		row := ChartRow{Label: cmp.Or(names[id], id, words.Text("audit.chart.no_application", nil)), Values: sums[id]}
		if id != "" {
			row.URL = auditTotalsPath + "?" + url.Values{FieldFrom: {t.From}, FieldTo: {t.To}, FieldApplication: {id}}.Encode()
		}
		chart.Rows = append(chart.Rows, row)
	}
	mostFirst(chart.Rows)
	return chart
}

func mostFirst(rows []ChartRow) {
	slices.SortStableFunc(rows, func(a, b ChartRow) int { return cmp.Compare(b.Sum(), a.Sum()) })
}

func refusals(reasons []auditing.ReasonTotal, words *catalogue.Messages) Chart {
	chart := Chart{Name: "refusals", Series: []Series{{words.Text("audit.chart.count", nil), 1}}, Lying: true}
	sums := make(map[string]int64)
	for _, r := range reasons {
		sums[r.Reason] += r.N
	}
	for _, reason := range slices.Sorted(maps.Keys(sums)) {
		label := auditWords{words}.text(audit.Field{Name: "reason"}, reason).Text
		chart.Rows = append(chart.Rows, ChartRow{Label: cmp.Or(label, words.Text("audit.chart.no_reason", nil)), Values: []int64{sums[reason]}})
	}
	mostFirst(chart.Rows)
	return chart
}

func codeFailures(events []auditing.EventTotal, days periods, words *catalogue.Messages) Chart {
	types := []audit.EventType{audit.CodeFailed, audit.CodeExpired, audit.CodeExhausted, audit.CodeSendFailed}
	chart := Chart{Name: "codes"}
	for i, t := range types {
		chart.Series = append(chart.Series, Series{Label: words.Text("audit.chart.codes."+strings.TrimPrefix(string(t), "code."), nil), Texture: i + 2})
	}
	rows, index := days.rows(len(types))
	filled := false
	for _, e := range events {
		i, known := index[days.start(e.Day)]
		if column := slices.Index(types, e.Type); known && column >= 0 {
			rows[i].Values[column] += e.N
			filled = true
		}
	}
	if filled {
		chart.Rows = rows
	}
	return chart
}

// confirmations shows averages: sums of seconds tell nobody anything. The table
// has beside them of how many they are.
func confirmations(times []auditing.TimeTotal, days periods, words *catalogue.Messages) Chart {
	chart := Chart{
		Name: "confirmations", Single: true,
		Series: []Series{{words.Text("audit.chart.seconds", nil), 1}},
	}
	sums := make(map[time.Time]auditing.TimeTotal)
	for _, t := range times {
		at := days.start(t.Day)
		sum := sums[at]
		sum.N, sum.Seconds = sum.N+t.N, sum.Seconds+t.Seconds
		sums[at] = sum
	}
	rows, index := days.rows(1)
	filled := false
	for at, sum := range sums {
		i, known := index[at]
		if !known || sum.N == 0 {
			continue
		}
		mean := int64(sum.Mean().Round(time.Second) / time.Second)
		rows[i].Values[0] = mean
		rows[i].Cells = []string{words.Text("audit.chart.mean", map[string]any{"wait": words.Duration(sum.Mean().Round(time.Second)), "codes": auditWords{words}.number(sum.N)})}
		filled = true
	}
	if filled {
		for i := range rows {
			if rows[i].Cells == nil {
				rows[i].Cells = []string{"—"}
			}
		}
		chart.Rows = rows
	}
	return chart
}
