// Command bootstrap prices a basket of parcels from the tariff that ships with the code.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func main() {
	lambda.Start(handle)
}

type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type refusal struct {
	OK    bool    `json:"ok"`
	Error failure `json:"error"`
}

type line struct {
	RequestID  string  `json:"requestId"`
	QuoteID    any     `json:"quoteId"`
	Outcome    string  `json:"outcome"`
	DurationMs float64 `json:"durationMs"`
}

// handle answers with a price, or with what is wrong with the request.
func handle(ctx context.Context, event json.RawMessage) (any, error) {
	requestID := ""
	if found, ok := lambdacontext.FromContext(ctx); ok {
		requestID = found.AwsRequestID
	}
	return answer(event, requestID, os.Stdout)
}

func answer(event json.RawMessage, requestID string, log io.Writer) (any, error) {
	started := time.Now()
	var request map[string]any
	// As they were written: a weight goes back as it came.
	decoder := json.NewDecoder(bytes.NewReader(event))
	decoder.UseNumber()
	if err := decoder.Decode(&request); err != nil {
		return nil, err
	}
	priced, err := quote(request)
	outcome := "ok"
	var rejected *Rejected
	switch {
	case errors.As(err, &rejected):
		outcome = rejected.Code
	case err != nil:
		outcome = "ERROR"
	}
	took := float64(time.Since(started).Microseconds()) / 1000
	written, _ := json.Marshal(line{requestID, request["quoteId"], outcome, took})
	fmt.Fprintln(log, string(written))
	if rejected != nil {
		return refusal{Error: failure{rejected.Code, rejected.Error()}}, nil
	}
	return priced, err
}
