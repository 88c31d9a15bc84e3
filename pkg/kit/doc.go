// Package kit is the root of small packages that all boundaries share and that
// do not depend on any of them: fault (kinds of errors), secret (values that
// cannot be printed), env (settings from environment variables), emf (metrics),
// eventbus (publishes events), consume (receives events), invoke (calls Lambda
// functions), httpcall (calls HTTP services), dynamo (DynamoDB tables),
// retention (how long data is kept), and startup (the first steps of every
// main).
package kit
