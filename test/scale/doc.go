// Command scale simulates weeks of gathering in seconds. It runs the real quota
// engine, gatherer and Strava adapter over in-memory storage, with a model of
// Strava, athletes who upload, rename, hide and delete, and a virtual clock. It
// measures how far the product keeps its promises about Strava's rate limits at
// every size, and while Strava or a component of Paceline fails for some calls.
//
// One seed determines everything random, and only one thing happens at a time, so
// a run can be repeated exactly. The actions of the athletes have a random source
// of their own, so failures do not change them.
//
// `make scale` runs all scenarios, prints the figures and writes them to
// .local/scale.json. docs/scale.md explains them.
package main
