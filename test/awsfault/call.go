package awsfault

import (
	"encoding/json"
	"encoding/xml"
	"hash/crc32"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// protocol is the encoding of a service's requests and errors (Smithy, "AWS
// protocols").
type protocol int

const (
	restJSON  protocol = iota // the operation is the method and the path
	awsJSON                   // the operation is in the header X-Amz-Target
	formQuery                 // the operation is the form's Action; responses are XML
)

// call is one request to AWS.
type call struct {
	service, operation string
	protocol           protocol
	body               []byte
}

func identify(r *http.Request, body []byte) call {
	c := call{service: signedFor(r.Header.Get("Authorization")), body: body}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		c.protocol, c.operation = awsJSON, target[strings.LastIndexByte(target, '.')+1:]
		return c
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if form, err := url.ParseQuery(string(body)); err == nil && form.Has("Action") {
			c.protocol, c.operation = formQuery, form.Get("Action")
			return c
		}
	}
	c.operation = r.Method + " " + r.URL.EscapedPath()
	return c
}

// signedFor returns the service of a signature's credential scope, which is
// "Credential=<key>/<date>/<region>/<service>/aws4_request" (IAM user guide,
// "Create a signed AWS API request"). It returns "" if there is no signature.
func signedFor(authorization string) string {
	_, credential, _ := strings.Cut(authorization, "Credential=")
	scope, _, _ := strings.Cut(credential, ",")
	parts := strings.Split(scope, "/")
	if len(parts) < 5 {
		return ""
	}
	return parts[len(parts)-2]
}

// message is the text of every refusal.
const message = "refused by a test"

// refuse writes a service's error as its protocol encodes it (Smithy, "AWS
// protocols", operation error serialization).
func refuse(w http.ResponseWriter, c call, code string) {
	w.Header().Set("X-Amzn-Requestid", "awsfault")
	body, _ := json.Marshal(map[string]string{"__type": code, "message": message}) // strings can always be encoded
	switch c.protocol {
	case awsJSON:
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	case formQuery:
		w.Header().Set("Content-Type", "text/xml")
		body, _ = xml.Marshal(queryError{Type: "Sender", Code: code, Message: message, RequestID: "awsfault"})
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-Errortype", code)
		body, _ = json.Marshal(map[string]string{"message": message})
	}
	if c.service == "dynamodb" { // its clients verify every response (DynamoDB developer guide, "DynamoDB low-level API")
		w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	}
	w.WriteHeader(status(c.protocol, code))
	_, _ = w.Write(body) // the client may have disconnected
}

type queryError struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

// status returns the HTTP status of an error. The SDK recognizes a server error
// by its status and throttling by its code.
func status(p protocol, code string) int {
	switch {
	case strings.Contains(code, "Internal"):
		return http.StatusInternalServerError
	case strings.Contains(code, "Unavailable"):
		return http.StatusServiceUnavailable
	case p == restJSON && (strings.Contains(code, "Throttl") || strings.HasPrefix(code, "TooManyRequests")):
		return http.StatusTooManyRequests
	case p != awsJSON && strings.HasPrefix(code, "AccessDenied"):
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}
