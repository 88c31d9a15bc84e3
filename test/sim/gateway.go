package sim

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/api"
)

// gateway is API Gateway with both HTTP APIs, behind the edge.
type gateway struct {
	*cloud
	routes []routeSpec
	// requests counts all requests.
	requests int
}

// edgePaths are the APIs to which the edge sends requests, by the beginning of
// the path. It serves all others from the site.
var edgePaths = []struct{ prefix, api string }{
	{"/v1/", "http"}, {"/oauth/", "http"}, {"/webhooks/", "webhook"},
}

// integrationLimit is how long API Gateway waits for a function (Amazon API
// Gateway, "Quotas for HTTP APIs").
const integrationLimit = 30 * time.Second

// errNoResponse is what a client sees if no response arrives.
var errNoResponse = errors.New("the connection was closed")

func gatewayPlace(api string) string { return "gateway " + api }

func newGateway(c *cloud, d *deployment) *gateway { return &gateway{cloud: c, routes: d.routes} }

// RoundTrip implements [http.RoundTripper] for clients of the site's origin. It
// must be called from within a process.
func (g *gateway) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	name := ""
	for _, e := range edgePaths {
		if strings.HasPrefix(r.URL.Path, e.prefix) {
			name = e.api
		}
	}
	g.k.pause(time.Millisecond + g.within(30*time.Millisecond))
	if name == "" {
		return httpResponse(r, api.Response{StatusCode: http.StatusOK, Body: "the site"})
	}
	failure := g.draw(gatewayPlace(name))
	if failure == refuse {
		return httpResponse(r, gatewayAnswer(http.StatusServiceUnavailable, "Service Unavailable"))
	}
	var res api.Response
	// Functions finish although the client has left.
	if err := g.k.call(r.Context(), "gateway", 0, func() { res = g.handle(name, r, body) }); err != nil {
		return nil, err
	}
	if failure == lose {
		return nil, errNoResponse
	}
	return httpResponse(r, res)
}

// handle answers a request as the API does. It runs in a process of its own.
func (g *gateway) handle(name string, r *http.Request, body []byte) api.Response {
	route, parameters, found := g.match(name, r.Method, r.URL)
	if !found {
		return gatewayAnswer(http.StatusNotFound, "Not Found")
	}
	g.requests++
	req := newRequest(r, body)
	req.RouteKey, req.PathParameters = route.key(), parameters
	req.RequestContext.RouteKey = req.RouteKey
	req.RequestContext.RequestID = "request-" + strconv.Itoa(g.requests)
	if route.authorizer != "" {
		refused := g.authorize(route.authorizer, &req)
		if refused != nil {
			return *refused
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), integrationLimit)
	defer cancel()
	out, err := g.invoke(ctx, route.function, req)
	switch {
	case ctx.Err() != nil:
		return gatewayAnswer(http.StatusServiceUnavailable, "Service Unavailable")
	case err != nil:
		return gatewayAnswer(http.StatusInternalServerError, "Internal Server Error")
	}
	res, ok := out.(api.Response)
	if !ok {
		panic(fmt.Sprintf("%s returned a %T", route.function, out))
	}
	return res
}

// authorize adds what the authorizer says about the caller to the request, or
// returns the response to a refused one.
func (g *gateway) authorize(function string, req *api.Request) *api.Response {
	ctx, cancel := context.WithTimeout(context.Background(), integrationLimit)
	defer cancel()
	out, err := g.invoke(ctx, function, events.APIGatewayV2CustomAuthorizerV2Request{
		Version: "2.0", Type: "REQUEST", RouteKey: req.RouteKey, RawPath: req.RawPath, RawQueryString: req.RawQueryString,
		Cookies: req.Cookies, Headers: req.Headers, QueryStringParameters: req.QueryStringParameters,
		RequestContext: req.RequestContext, PathParameters: req.PathParameters,
	})
	if err != nil {
		res := gatewayAnswer(http.StatusInternalServerError, "Internal Server Error")
		return &res
	}
	answer, ok := out.(events.APIGatewayV2CustomAuthorizerSimpleResponse)
	if !ok {
		panic(fmt.Sprintf("%s returned a %T", function, out))
	}
	if !answer.IsAuthorized {
		res := gatewayAnswer(http.StatusForbidden, "Forbidden")
		return &res
	}
	req.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{Lambda: answer.Context}
	return nil
}

// key returns the route's key.
func (r routeSpec) key() string {
	if r.path == "" {
		return "$default"
	}
	return r.method + " " + r.path
}

// match returns the route of a request, with the parameters of its path: the one
// with the fewest parameters, else the default route.
func (g *gateway) match(api, method string, u *url.URL) (best routeSpec, parameters map[string]string, found bool) {
	for _, r := range g.routes {
		if r.api != api {
			continue
		}
		if r.path == "" {
			if !found {
				best, found = r, true
			}
			continue
		}
		if r.method != method && r.method != "ANY" {
			continue
		}
		p, ok := matchPath(r.path, u.EscapedPath())
		if ok && (best.path == "" || len(p) < len(parameters)) {
			best, parameters, found = r, p, true
		}
	}
	return best, parameters, found
}

// matchPath matches a path with a pattern, whose parameters stand for one segment
// each.
func matchPath(pattern, path string) (parameters map[string]string, ok bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	for i, segment := range got {
		value, err := url.PathUnescape(segment)
		if err != nil {
			return nil, false
		}
		name, isParameter := strings.CutPrefix(want[i], "{")
		switch {
		case !isParameter && value != want[i], isParameter && value == "":
			return nil, false
		case isParameter:
			if parameters == nil {
				parameters = map[string]string{}
			}
			parameters[strings.TrimSuffix(name, "}")] = value
		}
	}
	return parameters, true
}

// newRequest returns the payload of a request, format 2.0 (Amazon API Gateway,
// "Create AWS Lambda proxy integrations for HTTP APIs").
func newRequest(r *http.Request, body []byte) api.Request {
	now := time.Now().UTC()
	req := api.Request{
		Version: "2.0", RawPath: r.URL.EscapedPath(), RawQueryString: r.URL.RawQuery,
		Headers: map[string]string{"host": r.URL.Host},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			Stage: "$default", TimeEpoch: now.UnixMilli(), Time: now.Format("02/Jan/2006:15:04:05 -0700"),
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method: r.Method, Path: r.URL.EscapedPath(), Protocol: "HTTP/1.1", SourceIP: "192.0.2.1", UserAgent: r.UserAgent(),
			},
		},
	}
	for name, values := range r.Header {
		if name == "Cookie" {
			for _, v := range values {
				req.Cookies = append(req.Cookies, strings.Split(v, "; ")...)
			}
			continue
		}
		req.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	for name, values := range r.URL.Query() {
		if req.QueryStringParameters == nil {
			req.QueryStringParameters = map[string]string{}
		}
		req.QueryStringParameters[name] = strings.Join(values, ",")
	}
	if len(body) > 0 {
		req.Body, req.IsBase64Encoded = string(body), !isText(r.Header.Get("Content-Type"))
	}
	if req.IsBase64Encoded {
		req.Body = base64.StdEncoding.EncodeToString(body)
	}
	return req
}

// isText says whether API Gateway passes on a body of this type as it is.
func isText(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (strings.HasPrefix(media, "text/") ||
		slices.Contains([]string{"application/json", "application/javascript", "application/xml"}, media))
}

// httpResponse returns a function's response as the client sees it.
func httpResponse(r *http.Request, res api.Response) (*http.Response, error) {
	body := res.Body
	if res.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			return nil, err
		}
		body = string(decoded)
	}
	out := &http.Response{
		Status: strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode), StatusCode: res.StatusCode,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
	for name, value := range res.Headers {
		out.Header.Set(name, value)
	}
	for _, cookie := range res.Cookies {
		out.Header.Add("Set-Cookie", cookie)
	}
	return out, nil
}

// gatewayAnswer returns a response that API Gateway makes itself.
func gatewayAnswer(status int, text string) api.Response {
	return api.Response{
		StatusCode: status, Headers: map[string]string{"Content-Type": "application/json"}, Body: `{"message":"` + text + `"}`,
	}
}
