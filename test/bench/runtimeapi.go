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

// initTimeout is how long a function may take to ask for its first invocation.
// Lambda allows 10 s, too (AWS Lambda developer guide, "Understanding the Lambda
// execution environment lifecycle").
const initTimeout = 10 * time.Second

// runtimeAPI stands in for Lambda's runtime API (AWS Lambda developer guide,
// "Using the Lambda runtime API for custom runtimes") towards one function at a
// time, for which it never has an invocation.
type runtimeAPI struct {
	*httptest.Server
	asked chan time.Time
}

func newRuntimeAPI() *runtimeAPI {
	r := &runtimeAPI{asked: make(chan time.Time, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(_ http.ResponseWriter, req *http.Request) {
		r.asked <- time.Now()
		<-req.Context().Done()
	})
	r.Server = httptest.NewServer(mux)
	return r
}

// timeToFirstNext makes a sample of the milliseconds from starting a function's
// program until it asks for its first invocation, when it is killed.
func (r *runtimeAPI) timeToFirstNext(binary string, environment []string) sample {
	return func(ctx context.Context) (float64, error) {
		ctx, cancel := context.WithTimeout(ctx, initTimeout)
		defer cancel()
		var output bytes.Buffer
		function := exec.CommandContext(ctx, binary) // which kills it when ctx ends
		function.Stdout, function.Stderr = &output, &output
		function.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(r.URL, "http://")}, environment...)
		started := time.Now()
		if err := function.Start(); err != nil {
			return 0, fmt.Errorf("%w (is everything built?)", err)
		}
		ended, failed := make(chan struct{}), error(nil)
		go func() {
			failed = function.Wait()
			close(ended)
		}()
		select {
		case at := <-r.asked:
			cancel()
			<-ended
			return float64(at.Sub(started).Nanoseconds()) / 1e6, nil
		case <-ended:
			return 0, errors.Join(fmt.Errorf("%s ended before it asked for an invocation: %s", binary, output.Bytes()), failed)
		}
	}
}
