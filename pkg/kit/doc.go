// Package kit is the root of small tools that every boundary shares and that
// know nothing of Strava or athletes: fault (kinds of errors), secret (a value
// that cannot be printed), env (settings from environment variables), emf
// (metrics), eventbus (publishing events), consume (receiving them), invoke
// (calling functions), httpcall (calling others over HTTP), dynamo (DynamoDB
// items), retention (how long things are kept), and startup (the first lines of
// every main).
package kit
