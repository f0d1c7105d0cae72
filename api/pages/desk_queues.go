package pages

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// askedParameter says that the reader has just asked for the order.
const askedParameter = "pedida"

func orderURL(id string) string { return deskOrdersPath + "/" + url.PathEscape(id) }

func (d *DeskDoor) askMass(c echo.Context) error {
	return d.show(c, http.StatusOK, &DeskMass{Self: deskMassPath, Desk: d.head(c, "mass"), Limit: d.MassLimit, SubmitURL: deskMassPath})
}

// mass writes the order down; a second officer confirms it.
func (d *DeskDoor) mass(c echo.Context) error {
	view := &DeskMass{
		Desk: d.head(c, "mass"), List: strings.ToValidUTF8(c.FormValue(deskFieldList), "�"), CRLReason: clip(c.FormValue(deskFieldCRLReason)), Reason: clip(c.FormValue(deskFieldReason)),
		Limit: d.MassLimit, SubmitURL: deskMassPath,
	}
	list, err := desk.ParseList(view.List, d.MassLimit)
	if refusal, ok := asRefusal(err); ok {
		view.Fail(deskFieldList, refusal)
	}
	asking, err := d.stating(c)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.ReasonMissing {
		view.Fail(deskFieldReason, refusal)
	} else if err != nil {
		return err
	}
	if len(view.Problems) > 0 {
		return d.show(c, http.StatusUnprocessableEntity, view)
	}
	order, err := d.Counter.Ask(c.Request().Context(), asking, desk.Act{Kind: citizen.ActMassRevocation, CRLWord: view.CRLReason}, list...)
	if err != nil {
		return err
	}
	return seeOther(c, orderURL(order.ID)+"?"+askedParameter+"=1")
}

func (d *DeskDoor) orders(c echo.Context) error {
	asking, err := d.asking(c)
	if err != nil {
		return err
	}
	orders, err := d.Counter.Orders(c.Request().Context(), asking)
	if err != nil {
		return err
	}
	view := &DeskOrders{Self: deskOrdersPath, Desk: d.head(c, "orders")}
	for _, o := range orders {
		view.Orders = append(view.Orders, DeskOrderRow{o, orderURL(o.ID)})
	}
	return d.show(c, http.StatusOK, view)
}

func (d *DeskDoor) order(c echo.Context) error {
	asking, err := d.asking(c)
	if err != nil {
		return err
	}
	o, err := d.Counter.Order(c.Request().Context(), asking, c.Param("id"))
	if err != nil {
		return err
	}
	view := newDeskOrder(o, asking.Officer, d.Now())
	view.Self, view.Desk, view.Asked = orderURL(o.ID), d.head(c, "orders"), view.Own && c.QueryParam(askedParameter) != ""
	return d.show(c, http.StatusOK, view)
}

func newDeskOrder(o citizen.DeskOrder, reader desk.Officer, now time.Time) *DeskOrderView {
	view := &DeskOrderView{Order: o, Own: o.AskedBy == reader.ID, BackURL: deskOrdersPath}
	waits := o.State == citizen.OrderWaiting && now.Before(o.ExpiresAt)
	switch {
	case desk.MayConfirm(reader, o, now):
		view.ConfirmURL = orderURL(o.ID) + "/confirmar"
	case desk.MayGoOn(reader, o):
		view.GoOnURL = orderURL(o.ID) + "/confirmar"
	}
	if waits && (view.Own || reader.Role == desk.RoleSupervisor) {
		view.RejectURL = orderURL(o.ID) + "/rechazar"
	}
	return view
}

func (d *DeskDoor) confirmOrder(c echo.Context) error {
	asking, err := d.asking(c)
	if err != nil {
		return err
	}
	o, err := d.Counter.Confirm(context.WithoutCancel(c.Request().Context()), asking, c.Param("id"))
	if err != nil {
		return err
	}
	return seeOther(c, orderURL(o.ID))
}

func (d *DeskDoor) rejectOrder(c echo.Context) error {
	asking, err := d.asking(c)
	if err != nil {
		return err
	}
	if err := d.Counter.Reject(c.Request().Context(), asking, c.Param("id")); err != nil {
		return err
	}
	return seeOther(c, deskOrdersPath)
}

func (d *DeskDoor) videos(c echo.Context) error {
	asking, err := d.asking(c)
	if err != nil {
		return err
	}
	videos, err := d.Counter.Videos(c.Request().Context(), asking)
	if err != nil {
		return err
	}
	view := &DeskVideos{Self: deskVideosPath, Desk: d.head(c, "videos")}
	for _, v := range videos {
		view.Videos = append(view.Videos, DeskVideoRow{v, videoURL(v.ID)})
	}
	return d.show(c, http.StatusOK, view)
}

func videoURL(id string) string { return deskVideosPath + "/" + url.PathEscape(id) }

func (d *DeskDoor) videoView(c echo.Context) (*DeskVideoView, desk.Asking, error) {
	asking, err := d.asking(c)
	if err != nil {
		return nil, asking, err
	}
	v, err := d.Counter.Video(c.Request().Context(), asking, c.Param("id"))
	if err != nil {
		return nil, asking, err
	}
	view := newDeskVideo(v)
	view.Desk = d.head(c, "videos")
	return view, asking, nil
}

func newDeskVideo(v citizen.Video) *DeskVideoView {
	view := &DeskVideoView{Self: videoURL(v.ID), Video: v, BackURL: deskVideosPath}
	if v.State == citizen.VideoPending {
		view.ApproveURL, view.RejectURL = videoURL(v.ID)+"/aprobar", videoURL(v.ID)+"/rechazar"
	}
	return view
}

func (d *DeskDoor) video(c echo.Context) error {
	view, _, err := d.videoView(c)
	if err != nil {
		return err
	}
	return d.show(c, http.StatusOK, view)
}

// approveVideo registers the person, and shows the receipt with the code: the
// office sends it by post, or hands it over.
func (d *DeskDoor) approveVideo(c echo.Context) error {
	view, asking, err := d.videoView(c)
	if err != nil {
		return err
	}
	v, receipt, err := d.Counter.Approve(context.WithoutCancel(c.Request().Context()), asking, view.Video.ID)
	if refusal, ok := asRefusal(err); ok && refusal.Code != policies.SessionExpired {
		view.Fail("", refusal)
		return d.show(c, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return err
	}
	person := personRecord(desk.Person(v.Person))
	person.Registration.Mode = string(policies.ModeVideo)
	return d.showReceipt(c, d.registrationReceipt(asking.Officer, person, receipt), fileURL(receipt.CitizenID))
}

func (d *DeskDoor) rejectVideo(c echo.Context) error {
	view, asking, err := d.videoView(c)
	if err != nil {
		return err
	}
	view.Reason = clip(c.FormValue(deskFieldRejection))
	reason, err := desk.Reason(view.Reason)
	if refusal, ok := asRefusal(err); ok {
		view.Fail(deskFieldRejection, refusal)
		return d.show(c, http.StatusUnprocessableEntity, view)
	}
	asking.Reason = reason
	if err := d.Counter.RejectVideo(c.Request().Context(), asking, view.Video.ID); err != nil {
		return err
	}
	return seeOther(c, deskVideosPath)
}

func (d *DeskDoor) incidents(c echo.Context) error {
	asking, err := d.asking(c)
	if err != nil {
		return err
	}
	incidents, err := d.Counter.Incidents(c.Request().Context(), asking)
	if err != nil {
		return err
	}
	return d.show(c, http.StatusOK, &DeskIncidents{Self: deskCasesPath, Desk: d.head(c, "incidents"), Incidents: deskCases(incidents)})
}

func deskCases(incidents []citizen.Case) []DeskCase {
	var all []DeskCase
	for _, i := range incidents {
		file := fileURL(i.CitizenID)
		all = append(all, DeskCase{Case: i, FileURL: file, CloseURL: file + "/incidencia?" + url.Values{caseParameter: {i.ID}}.Encode()})
	}
	return all
}

func (d *DeskDoor) letters(c echo.Context) error {
	asking, err := d.asking(c)
	if err != nil {
		return err
	}
	letters, err := d.Counter.Letters(c.Request().Context(), asking)
	if err != nil {
		return err
	}
	return d.show(c, http.StatusOK, &DeskLetters{Self: deskLettersPath, Desk: d.head(c, "letters"), Letters: letters, SubmitURL: deskLettersPath})
}

// printLetters answers with one PDF of those that were chosen. Each comes out
// once: what is lost on the way to the printer has to be asked for again.
func (d *DeskDoor) printLetters(c echo.Context) error {
	asking, err := d.asking(c)
	if err != nil {
		return err
	}
	form, err := c.FormParams()
	if err != nil {
		return policies.Refuse(policies.RequestMalformed)
	}
	pdf, _, err := d.Counter.Print(context.WithoutCancel(c.Request().Context()), asking, form["carta"])
	if err != nil {
		return err
	}
	header := c.Response().Header()
	header.Set(echo.HeaderContentDisposition, mime.FormatMediaType("attachment", map[string]string{"filename": "cartas.pdf"}))
	header.Set(echo.HeaderCacheControl, "no-store")
	return c.Blob(http.StatusOK, "application/pdf", pdf)
}
