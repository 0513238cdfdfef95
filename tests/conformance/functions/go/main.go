// Does what the event says: the fixture of the conformance table, see its README.
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// ConformanceError is returned on demand.
type ConformanceError struct{ message string }

func (e *ConformanceError) Error() string { return e.message }

// Event is everything that may be asked.
type Event struct {
	Do         string          `json:"do"`
	Value      json.RawMessage `json:"value"`
	Message    string          `json:"message"`
	Status     int             `json:"status"`
	Number     int             `json:"number"`
	Seconds    float64         `json:"seconds"`
	CPUSeconds float64         `json:"cpu_seconds"`
	Say        *string         `json:"say"`
	MB         int             `json:"mb"`
	Names      []string        `json:"names"`
	Lines      []string        `json:"lines"`
	To         string          `json:"to"`
	Base64     string          `json:"base64"`
	Path       string          `json:"path"`
	Text       string          `json:"text"`
	Bytes      int             `json:"bytes"`
	Chunks     []string        `json:"chunks"`
	PauseS     float64         `json:"pause_s"`
	FailAfter  *int            `json:"fail_after"`
	HTTP       *httpMetadata   `json:"http"`
}

type httpMetadata struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers"`
	Cookies    []string          `json:"cookies"`
}

var (
	identity  = newIdentity()
	count     int
	ticks     atomic.Int64
	startOnce sync.Once
)

func newIdentity() string {
	drawn := make([]byte, 16)
	if _, err := rand.Read(drawn); err != nil {
		panic(err)
	}
	return hex.EncodeToString(drawn)
}

func seconds(of float64) time.Duration { return time.Duration(of * float64(time.Second)) }

func duringInit() {
	action, argument, _ := strings.Cut(os.Getenv("INIT"), ":")
	switch action {
	case "print":
		fmt.Println(argument)
	case "throw":
		panic(&ConformanceError{argument})
	case "exit":
		status, _ := strconv.Atoi(argument)
		os.Exit(status)
	case "sleep":
		howLong, _ := strconv.ParseFloat(argument, 64)
		time.Sleep(seconds(howLong))
	case "once":
		if _, err := os.Stat(argument); err != nil {
			_ = os.WriteFile(argument, nil, 0o644)
			time.Sleep(time.Minute)
		}
	}
}

func handle(ctx context.Context, event Event) (any, error) {
	switch event.Do {
	case "echo":
		return event.Value, nil
	case "nothing":
		return nil, nil
	case "throw":
		return nil, &ConformanceError{event.Message}
	case "exit":
		os.Exit(event.Status)
	case "signal":
		_ = syscall.Kill(os.Getpid(), syscall.Signal(event.Number))
		time.Sleep(time.Minute)
	case "sleep":
		say := "sleeping"
		if event.Say != nil {
			say = *event.Say
		}
		fmt.Println(say)
		time.Sleep(seconds(event.Seconds))
		return "slept", nil
	case "spin":
		spin(event.CPUSeconds)
		return "spun", nil
	case "allocate":
		return allocate(event.MB), nil
	case "environment":
		found := map[string]any{}
		for _, name := range event.Names {
			found[name] = nil
			if value, ok := os.LookupEnv(name); ok {
				found[name] = value
			}
		}
		return found, nil
	case "context":
		return describe(ctx), nil
	case "print":
		to := os.Stdout
		if event.To == "stderr" {
			to = os.Stderr
		}
		for _, line := range event.Lines {
			fmt.Fprintln(to, line)
		}
		return len(event.Lines), nil
	case "print_bytes":
		raw, err := base64.StdEncoding.DecodeString(event.Base64)
		if err != nil {
			return nil, err
		}
		_, err = os.Stdout.Write(append(raw, '\n'))
		return nil, err
	case "count":
		count++
		return count, nil
	case "identity":
		return identity, nil
	case "write":
		return nil, os.WriteFile(event.Path, []byte(event.Text), 0o644)
	case "read":
		text, err := os.ReadFile(event.Path)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return string(text), err
	case "fill":
		return fill(event.Path, event.MB)
	case "big":
		return strings.Repeat("x", event.Bytes), nil
	case "unserialisable":
		return math.Inf(1), nil
	case "tick":
		startOnce.Do(func() {
			go func() {
				for {
					time.Sleep(5 * time.Millisecond)
					ticks.Add(1)
				}
			}()
		})
		return ticks.Load(), nil
	case "now":
		at := float64(time.Now().UnixMilli()) / 1000
		return map[string]float64{"time": at, "date": at}, nil
	case "waits":
		return waits(), nil
	case "trace":
		return os.Getenv("_X_AMZN_TRACE_ID"), nil
	}
	return nil, fmt.Errorf("nothing is called %q", event.Do)
}

func spin(cpuSeconds float64) {
	used := func() float64 {
		var usage syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	}
	for until := used() + cpuSeconds; used() < until; {
		for i := 0; i < 100_000; i++ {
			_ = i
		}
	}
}

func allocate(mb int) int {
	held := make([][]byte, 0, mb)
	for range make([]struct{}, mb) {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		held = append(held, block)
	}
	return len(held)
}

func describe(ctx context.Context) map[string]any {
	given, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	var custom any
	if len(given.ClientContext.Custom) > 0 {
		custom = given.ClientContext.Custom
	}
	return map[string]any{
		"function_name":        lambdacontext.FunctionName,
		"function_version":     lambdacontext.FunctionVersion,
		"invoked_function_arn": given.InvokedFunctionArn,
		"memory_limit_mb":      lambdacontext.MemoryLimitInMB,
		"request_id":           given.AwsRequestID,
		"log_group":            lambdacontext.LogGroupName,
		"log_stream":           lambdacontext.LogStreamName,
		"remaining_ms":         time.Until(deadline).Milliseconds(),
		"custom":               custom,
	}
}

func fill(path string, mb int) (string, error) {
	signal.Ignore(syscall.SIGXFSZ)
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	block := []byte(strings.Repeat("x", 1<<20))
	for i := 0; i < mb; i++ {
		if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
			return "ENOSPC", nil
		} else if errors.Is(err, syscall.EFBIG) {
			return "EFBIG", nil
		} else if err != nil {
			return "", err
		}
	}
	return "written", nil
}

func stream(_ context.Context, event Event) (any, error) {
	reader, writer := io.Pipe()
	go func() {
		for i, chunk := range event.Chunks {
			if event.FailAfter != nil && i == *event.FailAfter {
				writer.CloseWithError(&ConformanceError{"failed in the middle"})
				return
			}
			if i > 0 {
				time.Sleep(seconds(event.PauseS))
			}
			_, _ = writer.Write([]byte(chunk))
		}
		if event.FailAfter != nil && len(event.Chunks) == *event.FailAfter {
			writer.CloseWithError(&ConformanceError{"failed at the end"})
			return
		}
		writer.Close()
	}()
	if event.HTTP == nil {
		return reader, nil
	}
	status := event.HTTP.StatusCode
	if status == 0 {
		status = http.StatusOK
	}
	return &events.LambdaFunctionURLStreamingResponse{
		StatusCode: status,
		Headers:    event.HTTP.Headers,
		Cookies:    event.HTTP.Cookies,
		Body:       reader,
	}, nil
}

func main() {
	duringInit()
	if os.Getenv("_HANDLER") == "stream" {
		lambda.Start(stream)
	}
	lambda.Start(handle)
}

func waits() map[string]float64 {
	ways := map[string]func(){
		"Sleep": func() { time.Sleep(50 * time.Millisecond) },
		"After": func() { <-time.After(50 * time.Millisecond) },
		"WithTimeout": func() {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			<-ctx.Done()
		},
		"WithDeadline": func() {
			ctx, cancel := context.WithDeadline(context.Background(), time.Now().Round(0).Add(50*time.Millisecond))
			defer cancel()
			<-ctx.Done()
		},
	}
	waited := map[string]float64{}
	for name, way := range ways {
		began := time.Now()
		way()
		waited[name] = float64(time.Since(began).Microseconds()) / 1000
	}
	return waited
}
