package api

import (
	"context"
	"net/http"
)

// SameOrigin calls handle unless a page of another site made the browser send
// the request, in which case it answers with 403. Use it for calls that change
// something: session cookies are SameSite=Lax, which some browsers apply to
// most such calls only. Clients other than browsers send neither header.
func SameOrigin(siteURL string, handle Handler) Handler {
	return func(ctx context.Context, req Request) (Response, error) {
		from := req.Headers["sec-fetch-site"] // Fetch Metadata; "none" means that the user typed the address.
		foreign := from != "" && from != "same-origin" && from != "none"
		if from == "" { // A browser of before 2023.
			origin := req.Headers["origin"]
			foreign = origin != "" && origin != siteURL
		}
		if foreign {
			return Problem(http.StatusForbidden, "Only the site itself can send this request."), nil
		}
		return handle(ctx, req)
	}
}
