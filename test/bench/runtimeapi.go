package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"time"
)

// initTimeout limits the time to a function's first request for an invocation.
// Lambda's own limit is 10 s (AWS Lambda developer guide, "Understanding the
// Lambda execution environment lifecycle").
const initTimeout = 10 * time.Second

// runtimeAPI is a stand-in for Lambda's runtime API (AWS Lambda developer
// guide, "Using the Lambda runtime API for custom runtimes") for one function
// at a time. It never returns an invocation.
type runtimeAPI struct {
	*httptest.Server
	requested chan time.Time
}

func newRuntimeAPI() *runtimeAPI {
	r := &runtimeAPI{requested: make(chan time.Time, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(_ http.ResponseWriter, req *http.Request) {
		r.requested <- time.Now()
		<-req.Context().Done()
	})
	r.Server = httptest.NewServer(mux)
	return r
}

// timeToFirstNext returns a sample of the milliseconds from the start of a
// function's program to its first request for an invocation. Then it kills the
// program.
func (r *runtimeAPI) timeToFirstNext(binary string, environment []string) sample {
	return func(ctx context.Context) (float64, error) {
		ctx, cancel := context.WithTimeout(ctx, initTimeout)
		defer cancel()
		var output bytes.Buffer
		function := exec.CommandContext(ctx, binary) // the end of ctx kills it
		function.Stdout, function.Stderr = &output, &output
		function.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(r.URL, "http://")}, environment...)
		started := time.Now()
		if err := function.Start(); err != nil {
			return 0, fmt.Errorf("%w; run `make build` first", err)
		}
		ended, failed := make(chan struct{}), error(nil)
		go func() {
			failed = function.Wait()
			close(ended)
		}()
		select {
		case at := <-r.requested:
			cancel()
			<-ended
			return float64(at.Sub(started).Nanoseconds()) / 1e6, nil
		case <-ended:
			return 0, errors.Join(fmt.Errorf("%s ended before its first request for an invocation: %s", binary, output.Bytes()), failed)
		}
	}
}
