// Package quota divides Strava's rate limits among all callers. Each call needs
// a permit, and no permit may lead to a 429.
//
// Strava counts the calls of one application for all athletes together, in two
// buckets (overall, and read: all but uploads) and in two windows each (a
// quarter hour from :00, :15, :30 and :45, and the UTC day). All of ours are
// reads and count in all four. Limits and usage come with every answer (Strava,
// "Rate Limits"); they may change at any time, and other clients of the
// application may use the quota, too.
//
// The whole state is one [Budget], changed only by conditional writes. A caller
// acquires a permit of its work's class, makes one call, and settles the permit
// with what the answer said. A permit that is not settled expires and counts as
// spent.
//
// Three rules keep 429s away:
//
//   - used + outstanding < limit, in all four, before each call;
//   - a header counts for the window it belongs to, and for no other;
//   - near a window's edge, where clocks may disagree about which one it is, a
//     call must have room in both.
//
// Each class has a reserve: a class may spend only calls that the classes above
// it will probably not need before the window ends. So background work uses the
// rest of the limit without delaying urgent work.
package quota
