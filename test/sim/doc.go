// Command sim plays weeks of gathering in seconds: the real quota engine, gatherer
// and Strava adapter over in-memory storage, a model of Strava, athletes who
// upload, rename, hide and delete, and a virtual clock. It checks what the product
// promises about Strava's rate limits at every size it is meant for, and what it
// promises while Strava or a part of Paceline fails for some of the calls.
//
// Everything random comes from one seed, and only one thing happens at a time,
// so a run can be repeated exactly. The actions of the athletes are drawn
// separately from the failures, which therefore do not change them.
//
// `make sim` runs all scenarios, prints the figures and writes them to
// .local/sim.json; docs/scale.md says what they mean.
package main
