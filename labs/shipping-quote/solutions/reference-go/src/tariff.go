package main

import (
	_ "embed"
	"encoding/json"
	"math/big"
	"time"
	_ "time/tzdata" // The runtime's image need not have the time zones.
)

//go:embed tariff.json
var document []byte

type tier struct {
	UpToKg float64 `json:"upToKg"`
	Price  string  `json:"price"`
	amount *big.Rat
}

type version struct {
	From  string            `json:"from"`
	Zones map[string][]tier `json:"zones"`
}

var (
	tariff struct {
		TimeZone     string            `json:"timeZone"`
		Currency     string            `json:"currency"`
		RoundingUnit string            `json:"roundingUnit"`
		Discounts    map[string]string `json:"discounts"`
		Tariffs      []version         `json:"tariffs"`
	}
	timeZone *time.Location
	unit     *big.Rat
	hundred  = big.NewRat(100, 1)
	half     = big.NewRat(1, 2)
)

func init() {
	if err := json.Unmarshal(document, &tariff); err != nil {
		panic(err)
	}
	var err error
	if timeZone, err = time.LoadLocation(tariff.TimeZone); err != nil {
		panic(err)
	}
	unit = decimal(tariff.RoundingUnit)
	for _, each := range tariff.Tariffs {
		for _, tiers := range each.Zones {
			for position := range tiers {
				tiers[position].amount = decimal(tiers[position].Price)
			}
		}
	}
}

func decimal(text string) *big.Rat {
	value, ok := new(big.Rat).SetString(text)
	if !ok {
		panic("not a number: " + text)
	}
	return value
}

// discounted is a total less the customer's percentage.
func discounted(total *big.Rat, customer string) *big.Rat {
	percent, known := tariff.Discounts[customer]
	if !known {
		return total
	}
	left := new(big.Rat).Sub(hundred, decimal(percent))
	return left.Mul(left, total).Quo(left, hundred)
}

// toUnit is the multiple of the rounding unit nearest to a value, halves up.
func toUnit(value *big.Rat) *big.Rat {
	steps := new(big.Rat).Quo(value, unit)
	steps.Add(steps, half)
	whole := new(big.Int).Div(steps.Num(), steps.Denom())
	return new(big.Rat).Mul(new(big.Rat).SetInt(whole), unit)
}
