package handler

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"net/http"

	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// maxBody is the longest body that is read: an address or a name fits.
const maxBody = 1024

// redirectFull redirects to the page that says that there is no place, with a
// form for the waitlist. The page works without a form, too.
func (o *OAuth) redirectFull(ctx context.Context, why credentials.FormReason) api.Response {
	form, life, err := o.Waitlist.IssueForm(ctx, why)
	if err != nil {
		o.Log.ErrorContext(ctx, "no form issued for the waitlist", "error", err.Error())
		return redirectWithError("app_full")
	}
	return api.Redirect("/?error=app_full", o.Cookies.set(formCookie, form, life))
}

// joinWaitlist adds an e-mail address to the waitlist. It returns the same
// whether the address was there before or not.
//
// Only the site's own pages can make a browser send this request: it requires
// the site's Origin, a JSON body, which an HTML form cannot send, and the
// cookie of a form that this browser was issued, which browsers do not send
// from other sites.
func (o *OAuth) joinWaitlist(ctx context.Context, req api.Request) (api.Response, error) {
	if req.Headers["origin"] != o.SiteURL {
		return api.Problem(http.StatusForbidden, "This can only be sent from the site itself."), nil
	}
	var input struct {
		Contact string `json:"contact"`
	}
	if refused, ok := readBody(req, &input); !ok {
		return refused, nil
	}
	err := o.Waitlist.Join(ctx, o.Cookies.first(req.Cookies, req.Headers, formCookie), input.Contact)
	busy, isBusy := errors.AsType[credentials.WaitlistBusyError](err)
	switch {
	case errors.Is(err, credentials.ErrFormInvalid):
		return api.Problem(http.StatusForbidden, "This form was sent before, is too old, or cookies are off. Choose “Connect with Strava” again."), nil
	case errors.Is(err, credentials.ErrPlaceFree):
		return api.Problem(http.StatusConflict, "There is a place now. Choose “Connect with Strava” again."), nil
	case errors.Is(err, credentials.ErrWaitlistFull):
		return api.Problem(http.StatusConflict, "The waiting list is full, too. Try again another day."), nil
	case isBusy:
		return api.TooManyRequests(busy.Wait, "Too many have asked within the last hour. Try again later."), nil
	case err != nil:
		return api.Response{}, err
	}
	res := noContent()
	res.Cookies = []string{o.Cookies.set(formCookie, secret.String{}, 0)}
	return res, nil
}

// readBody reads a JSON body into input, or returns the response that says what
// is wrong with it.
func readBody(req api.Request, input any) (refused api.Response, ok bool) {
	contentType, _, _ := mime.ParseMediaType(req.Headers["content-type"])
	switch {
	case contentType != "application/json":
		return api.Problem(http.StatusUnsupportedMediaType, "The body must be JSON."), false
	case len(req.Body) > maxBody:
		return api.Problem(http.StatusRequestEntityTooLarge, "The body is larger than 1 KiB."), false
	}
	body := []byte(req.Body)
	if req.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(req.Body); err != nil {
			return api.Problem(http.StatusBadRequest, "The body is not valid base64."), false
		}
	}
	if json.Unmarshal(body, input) != nil {
		return api.Problem(http.StatusBadRequest, "The body must be a JSON object as described."), false
	}
	return api.Response{}, true
}
