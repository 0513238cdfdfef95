package main

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Rejected says that the request can't be priced, and that the caller can repair it.
type Rejected struct {
	Code    string
	message string
}

func (r *Rejected) Error() string { return r.message }

func reject(code, format string, arguments ...any) error {
	return &Rejected{code, fmt.Sprintf(format, arguments...)}
}

type priced struct {
	OK        bool   `json:"ok"`
	QuoteID   any    `json:"quoteId"`
	Price     string `json:"price"`
	Currency  string `json:"currency"`
	Breakdown []item `json:"breakdown"`
}

type item struct {
	WeightKg json.Number `json:"weightKg"`
	Amount   string      `json:"amount"`
}

var required = []string{"quoteId", "customerId", "customerEmail", "zone", "pickupAt", "parcels"}

// quote is the answer to a good request; a Rejected for any other.
func quote(request map[string]any) (*priced, error) {
	var missing []string
	for _, name := range required {
		if request[name] == nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, reject("MISSING_FIELD", "%s: required.", strings.Join(missing, ", "))
	}
	parcels, _ := request["parcels"].([]any)
	if len(parcels) == 0 {
		return nil, reject("EMPTY_BASKET", "parcels: at least one is required.")
	}
	day, err := pickupDay(request["pickupAt"])
	if err != nil {
		return nil, err
	}
	zones, err := zonesOn(day)
	if err != nil {
		return nil, err
	}
	zone, _ := request["zone"].(string)
	tiers, known := zones[zone]
	if !known {
		return nil, reject("UNKNOWN_ZONE", "zone: %v is not in the tariff.", request["zone"])
	}
	total := new(big.Rat)
	breakdown := make([]item, len(parcels))
	for number, each := range parcels {
		parcel, _ := each.(map[string]any)
		found, err := priceOf(tiers, parcel["weightKg"])
		if err != nil {
			return nil, err
		}
		breakdown[number] = item{parcel["weightKg"].(json.Number), found.Price}
		total.Add(total, found.amount)
	}
	customer, _ := request["customerId"].(string)
	return &priced{
		OK:        true,
		QuoteID:   request["quoteId"],
		Price:     toUnit(discounted(total, customer)).FloatString(2),
		Currency:  tariff.Currency,
		Breakdown: breakdown,
	}, nil
}

// pickupDay is the carrier's calendar day at a moment, whatever offset the caller writes it with.
func pickupDay(pickupAt any) (string, error) {
	text, _ := pickupAt.(string)
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if moment, err := time.Parse(layout, text); err == nil {
			return moment.In(timeZone).Format(time.DateOnly), nil
		}
	}
	return "", reject("INVALID_PICKUP", "pickupAt: not an ISO 8601 time with an offset.")
}

// zonesOn gives the zones of the tariff that is valid on a day.
func zonesOn(day string) (map[string][]tier, error) {
	for number := len(tariff.Tariffs) - 1; number >= 0; number-- {
		if tariff.Tariffs[number].From <= day {
			return tariff.Tariffs[number].Zones, nil
		}
	}
	return nil, reject("INVALID_PICKUP", "pickupAt: there is no tariff for %s.", day)
}

// priceOf is the first tier that holds a weight.
func priceOf(tiers []tier, weightKg any) (*tier, error) {
	number, isNumber := weightKg.(json.Number)
	weight, err := number.Float64()
	if !isNumber || err != nil || weight <= 0 {
		return nil, reject("INVALID_WEIGHT", "weightKg: %v is not a number above 0.", weightKg)
	}
	for position := range tiers {
		if weight <= tiers[position].UpToKg {
			return &tiers[position], nil
		}
	}
	return nil, reject("PARCEL_TOO_HEAVY", "weightKg: %s is above the last tier.", number)
}
