package api

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// tagged adds an ETag to the successful response to a GET, and turns it into a
// 304 if the caller has the same body already (RFC 9110, 13.1.2). This saves
// bandwidth only: the handler has already run.
func tagged(req Request, res Response) Response {
	if !strings.HasPrefix(req.RouteKey, "GET ") || res.StatusCode != http.StatusOK {
		return res
	}
	digest := sha256.Sum256([]byte(res.Body))
	tag := `"` + base64.RawURLEncoding.EncodeToString(digest[:16]) + `"`
	res.Headers["ETag"] = tag
	if !matches(req.Headers["if-none-match"], tag) {
		return res
	}
	res.StatusCode, res.Body = http.StatusNotModified, ""
	delete(res.Headers, "Content-Type")
	delete(res.Headers, "Content-Disposition")
	return res
}

// matches compares weakly, as If-None-Match requires.
func matches(ifNoneMatch, tag string) bool {
	for one := range strings.SplitSeq(ifNoneMatch, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}
