package lambdain

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/httpapi"
	"github.com/paceline/paceline/pkg/kit/secret"
)

const (
	// maxWaitlistBody is the longest body that is read: an address, and room.
	maxWaitlistBody = 1024
	// formLife is how long the form may be filled in.
	formLife = time.Hour
)

// full leads to the page that says that there is no place, and offers the
// waiting list.
func (o *OAuth) full(nonce secret.String) httpapi.Response {
	return httpapi.Redirect("/?error=app_full", o.cookie(nonceCookie, "/oauth", nonce, formLife))
}

// joinWaitlist puts an e-mail address on the waiting list. It answers the same
// whether the address was there before or not.
//
// Only a page of our own can make a browser send this: the Origin is the
// site's, a body of JSON is no form's, and the cookie, which browsers keep from
// other sites' requests, was set when that browser was told that we are full.
func (o *OAuth) joinWaitlist(ctx context.Context, req httpapi.Request) (httpapi.Response, error) {
	contentType, _, _ := mime.ParseMediaType(req.Headers["content-type"])
	switch {
	case req.Headers["origin"] != o.SiteURL:
		return httpapi.Problem(http.StatusForbidden, "This can only be sent from the site itself."), nil
	case contentType != "application/json":
		return httpapi.Problem(http.StatusUnsupportedMediaType, "The body must be JSON."), nil
	case len(req.Body) > maxWaitlistBody:
		return httpapi.Problem(http.StatusRequestEntityTooLarge, "The body is larger than 1 KiB."), nil
	case cookie(req.Cookies, req.Headers, nonceCookie).Empty():
		return httpapi.Problem(http.StatusForbidden, "This page was open for too long, or cookies are off. Choose “Connect with Strava” once more."), nil
	}
	body := []byte(req.Body)
	if req.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(req.Body); err != nil {
			return httpapi.Problem(http.StatusBadRequest, "The body is not valid base64."), nil
		}
	}
	var form struct {
		Contact string `json:"contact"`
	}
	if json.Unmarshal(body, &form) != nil {
		return httpapi.Problem(http.StatusBadRequest, "The body must be a JSON object with a contact."), nil
	}
	err := o.Waitlist.Join(ctx, form.Contact)
	if errors.Is(err, credentials.ErrWaitlistFull) {
		return httpapi.Problem(http.StatusConflict, "The waiting list is full, too. Try again another day."), nil
	}
	if err != nil {
		return httpapi.Response{}, err
	}
	return httpapi.Response{StatusCode: http.StatusNoContent, Headers: map[string]string{"Cache-Control": "no-store"}}, nil
}
