package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// call answers a sample event with some fields changed; it gives the answer and the log.
func call(t *testing.T, name string, changed map[string]any) (map[string]any, string) {
	t.Helper()
	body, err := os.ReadFile("../events/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	event := map[string]any{}
	if err := json.Unmarshal(body, &event); err != nil {
		t.Fatal(err)
	}
	for key, value := range changed {
		event[key] = value
	}
	body, _ = json.Marshal(event)
	var log bytes.Buffer
	found, err := answer(body, "r-1", &log)
	if err != nil {
		t.Fatal(err)
	}
	written, _ := json.Marshal(found)
	read := map[string]any{}
	_ = json.Unmarshal(written, &read)
	return read, log.String()
}

func weights(values ...any) map[string]any {
	parcels := []any{}
	for _, value := range values {
		parcels = append(parcels, map[string]any{"weightKg": value})
	}
	return map[string]any{"parcels": parcels}
}

func TestPrices(t *testing.T) {
	for _, row := range []struct {
		name, price string
		changed     map[string]any
	}{
		{"one-parcel", "4.90", nil},
		{"two-parcels-discount", "15.20", nil},
		{"one-parcel", "5.30", map[string]any{"pickupAt": "2031-03-30T23:30:00-05:00"}},
		{"one-parcel", "4.90", weights(5)},
	} {
		if found, _ := call(t, row.name, row.changed); found["price"] != row.price {
			t.Errorf("%s %v: %v, expected %s", row.name, row.changed, found, row.price)
		}
	}
}

func TestBadRequestsAreAnswered(t *testing.T) {
	for code, changed := range map[string]map[string]any{
		"INVALID_WEIGHT": weights("2.5"),
		"EMPTY_BASKET":   weights(),
		"INVALID_PICKUP": {"pickupAt": "2031-02-30T10:00:00Z"},
		"MISSING_FIELD":  {"zone": nil},
		"UNKNOWN_ZONE":   {"zone": "SUBSEA"},
	} {
		found, _ := call(t, "one-parcel", changed)
		failure, _ := found["error"].(map[string]any)
		if found["ok"] != false || failure["code"] != code {
			t.Errorf("%v: %v, expected %s", changed, found, code)
		}
	}
}

func TestTheLogLineHasNoAddress(t *testing.T) {
	_, log := call(t, "one-parcel", nil)
	if !strings.Contains(log, `"requestId":"r-1"`) || strings.Contains(log, "mari.lepik") {
		t.Error(log)
	}
}
