package site

import (
	"fmt"
	"net/http"
	"strings"
)

// Values of the security headers.
const (
	FrameOptions            = "DENY"
	ReferrerPolicy          = "strict-origin-when-cross-origin"
	PermissionsPolicy       = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
	CrossOriginOpenerPolicy = "same-origin"
	// HSTSMaxAge is how many seconds a browser insists on HTTPS: two years, as
	// hstspreload.org asks for.
	HSTSMaxAge = 2 * 365 * 24 * 60 * 60
)

// ContentSecurityPolicy lets the page load from its own origin only. Pictures
// may come from any HTTPS host: an athlete's profile picture is wherever Strava
// keeps it, which includes the hosts of those who signed in to Strava by
// another service.
var ContentSecurityPolicy = strings.Join([]string{
	"default-src 'none'",
	"script-src 'self'",
	"style-src 'self'",
	"img-src 'self' data: https:",
	"font-src 'self'",
	"connect-src 'self'",
	"manifest-src 'self'",
	"base-uri 'none'",
	"form-action 'self'",
	"frame-ancestors 'none'",
}, "; ")

// SetHeaders sets the security headers of a response. Strict-Transport-Security
// is among them only when the origin is served over HTTPS (RFC 6797, 7.2). A
// response that has a Content-Security-Policy keeps it: responses of the HTTP
// API are data, and their policy allows nothing.
func SetHeaders(h http.Header, https bool) {
	if h.Get("Content-Security-Policy") == "" {
		h.Set("Content-Security-Policy", ContentSecurityPolicy)
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", FrameOptions)
	h.Set("Referrer-Policy", ReferrerPolicy)
	h.Set("Permissions-Policy", PermissionsPolicy)
	h.Set("Cross-Origin-Opener-Policy", CrossOriginOpenerPolicy)
	if https {
		h.Set("Strict-Transport-Security", fmt.Sprintf("max-age=%d; includeSubDomains", HSTSMaxAge))
	}
}
