package citizen_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/citizen"
)

const (
	placesHead  = "id,name,address,postal_code,town,province,phone,hours,appointment,latitude,longitude\n"
	placesRight = "a,Registro,\"Plaza Mayor, 1\",33201,Gijón,Asturias,985 18 11 11,de 9 a 14,https://cita.example.es/,43.5,-5.6\n"
)

func TestReadPlaces(t *testing.T) {
	t.Parallel()
	latitude, longitude := 43.5, -5.6
	want := citizen.Place{
		ID: "a", Name: "Registro", Address: "Plaza Mayor, 1", PostalCode: "33201", Town: "Gijón", Province: "Asturias",
		Phone: "985 18 11 11", Hours: "de 9 a 14", Appointment: "https://cita.example.es/", Latitude: &latitude, Longitude: &longitude,
	}
	got, err := citizen.ReadPlaces(strings.NewReader("\ufeff" + placesHead + placesRight))
	if diff := cmp.Diff([]citizen.Place{want}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for name, test := range map[string]struct{ list, complaint string }{
		"nothing":           {"", "head"},
		"no offices":        {placesHead, "no offices"},
		"missing column":    {strings.Replace(placesHead, ",hours", "", 1), "hours"},
		"another column":    {strings.Replace(placesHead, "\n", ",mail\n", 1), "other columns"},
		"column twice":      {strings.Replace(placesHead, "\n", ",id\n", 1), "other columns"},
		"row too short":     {placesHead + "a,b\n", "line 2"},
		"id twice":          {placesHead + placesRight + placesRight, "line 3"},
		"no town":           {placesHead + strings.Replace(placesRight, "Gijón", " ", 1), "town"},
		"postal code":       {placesHead + strings.Replace(placesRight, "33201", "3320", 1), "postal_code"},
		"province of none":  {placesHead + strings.Replace(placesRight, "33201", "53001", 1), "postal_code"},
		"signed code":       {placesHead + strings.Replace(placesRight, "33201", "+3320", 1), "postal_code"},
		"script for a link": {placesHead + strings.Replace(placesRight, "https://cita.example.es/", "javascript:alert(1)", 1), "appointment"},
		"unsafe link":       {placesHead + strings.Replace(placesRight, "https:", "http:", 1), "appointment"},
		"latitude":          {placesHead + strings.Replace(placesRight, "43.5", "143.5", 1), "latitude"},
		"longitude":         {placesHead + strings.Replace(placesRight, "-5.6", "NaN", 1), "longitude"},
		"latitude alone":    {placesHead + strings.Replace(placesRight, ",-5.6", ",", 1), "longitude"},
		"control character": {placesHead + strings.Replace(placesRight, "Registro", "Regi\x1bstro", 1), "name"},
		"turned address":    {placesHead + strings.Replace(placesRight, "Plaza Mayor", "Plaza \u05d0", 1), "address"},
		"turned writing":    {placesHead + strings.Replace(placesRight, "Registro", "Regi\u202estro", 1), "name"},
		"long":              {placesHead + strings.Replace(placesRight, "Registro", strings.Repeat("R", 301), 1), "name"},
		"not UTF-8":         {placesHead + strings.Replace(placesRight, "Registro", "Regi\xf1", 1), "name"},
	} {
		if _, err := citizen.ReadPlaces(strings.NewReader(test.list)); err == nil || !strings.Contains(err.Error(), test.complaint) {
			t.Errorf("%s: got %v, want a word on %q", name, err, test.complaint)
		}
	}
}

func TestParsePlaceSearch(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]citizen.PlaceSearch{
		"33201":             {PostalCode: "33201"},
		" 33 201 ":          {PostalCode: "33201"},
		"33":                {PostalCode: "33"},
		"Gijón":             {Words: "gijon"},
		"  DONOSTIA / San ": {Words: "donostia san"},
		"L'Hospitalet":      {Words: "l hospitalet"},
		"100% _x":           {Words: "100 x"},
	} {
		if got, ok := citizen.ParsePlaceSearch(typed); !ok || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", typed, got, ok, want)
		}
	}
	for _, typed := range []string{"", " ", "3", "332011", "%", "a", "\x00\x01", strings.Repeat("a", 400)} {
		if got, ok := citizen.ParsePlaceSearch(typed); ok {
			t.Errorf("%q: got %+v, want nothing to look for", typed, got)
		}
	}
}

func FuzzReadPlaces(f *testing.F) {
	sample, err := os.ReadFile("../testdata/offices.csv")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(sample))
	f.Add(placesHead + placesRight)
	f.Fuzz(func(t *testing.T, list string) {
		places, err := citizen.ReadPlaces(strings.NewReader(list))
		if err != nil {
			return
		}
		for _, p := range places {
			if len(p.PostalCode) != 5 || p.Town == "" || p.Appointment != "" && !strings.HasPrefix(p.Appointment, "https://") {
				t.Errorf("got %+v, want what may stand on a page", p)
			}
		}
	})
}
