package api

import (
	"context"
	"net/http"
)

// FromSite answers 403 when another site's page had a browser send the call, and
// calls handle otherwise. It is for calls that change something: session cookies
// are SameSite=Lax, which keeps them from most such calls and, in some browsers,
// not from all. What is no browser sends neither header field.
func FromSite(siteURL string, handle Handler) Handler {
	return func(ctx context.Context, req Request) (Response, error) {
		from := req.Headers["sec-fetch-site"] // Fetch Metadata; "none": the user's own doing
		foreign := from != "" && from != "same-origin" && from != "none"
		if from == "" { // A browser of before 2023.
			origin := req.Headers["origin"]
			foreign = origin != "" && origin != siteURL
		}
		if foreign {
			return Problem(http.StatusForbidden, "This can only be sent from the site itself."), nil
		}
		return handle(ctx, req)
	}
}
