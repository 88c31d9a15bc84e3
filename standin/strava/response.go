package strava

import (
	"net/http"

	"github.com/paceline/paceline/standin"
)

type response = standin.Response

const jsonType = "application/json; charset=utf-8"

func jsonResponse(status int, v any) response { return standin.JSON(status, jsonType, v) }

// bodyResponse has a body that is sent as JSON even if it is not.
func bodyResponse(status int, body []byte) response {
	return response{Status: status, ContentType: jsonType, Body: body}
}

// edgeResponse is a page in HTML, as Strava's edge sends it.
func edgeResponse(status int, headline string) response {
	return standin.HTML(status, "<!DOCTYPE html><html><head><title>Strava</title></head><body><h1>"+headline+"</h1></body></html>")
}

// fieldError is one entry of Strava's error body.
type fieldError struct {
	Resource string `json:"resource"`
	Field    string `json:"field"`
	Code     string `json:"code"`
}

// refuse returns an error in Strava's shape. Without errors the list is empty.
func refuse(status int, message string, errors ...fieldError) response {
	return jsonResponse(status, struct {
		Message string       `json:"message"`
		Errors  []fieldError `json:"errors"`
	}{message, append([]fieldError{}, errors...)})
}

func badRequest(resource, field, code string) response {
	return refuse(http.StatusBadRequest, "Bad Request", fieldError{resource, field, code})
}

func unauthorized(resource, field, code string) response {
	return refuse(http.StatusUnauthorized, "Authorization Error", fieldError{resource, field, code})
}

// invalidToken refuses an access token.
func invalidToken() response { return unauthorized("Application", "", "invalid") }

func missingScope(field string) response { return unauthorized("AccessToken", field, "missing") }

func inactiveApplication() response {
	return refuse(http.StatusForbidden, "Forbidden", fieldError{"Application", "Status", "Inactive"})
}

func rateLimited(field string) response {
	return refuse(http.StatusTooManyRequests, "Rate Limit Exceeded", fieldError{"Application", field, "exceeded"})
}

// corruptActivity is the response for an activity that Strava cannot read.
func corruptActivity() response {
	return bodyResponse(http.StatusInternalServerError, []byte(`{"message":"error"}`))
}
