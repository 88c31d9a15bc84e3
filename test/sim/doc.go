// Package sim runs the whole system in one process under one virtual clock: the
// code of all boundaries over in-memory adapters, a cloud made from the
// synthesized templates, Strava's stand-in, and people. One seed determines
// everything that is random, and only one thing happens at a time, so a run can
// be repeated exactly.
//
// Each port and each part of the cloud can fail in the ways in which the real
// one does. While people act and things fail, invariants are checked at every
// step; when the failures have stopped, the system must come to rest with what
// Strava shows. docs/simulation.md explains how to read a failing seed and how to
// add a fault, an invariant or an actor.
package sim
