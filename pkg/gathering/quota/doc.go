// Package quota shares Strava's rate limits out between all functions that
// call it: no call without a permit, and no permit that could end in a 429.
//
// Strava counts the calls of one application for all athletes together, in two
// buckets (overall, and read: all but uploads) and in two windows each (a
// quarter hour from :00, :15, :30 and :45, and the UTC day). All of ours are
// reads and count in all four. Limits and usage come with every answer (Strava,
// "Rate Limits"); they may change at any time, and others may spend, too.
//
// The whole state is one [Budget], changed only by conditional writes. A caller
// reserves a permit of its work's class, makes one call, and settles the permit
// with what the answer said. Permits that nobody settles expire and count as
// spent.
//
// Three rules keep 429s away:
//
//   - used + outstanding < limit, in all four, before each call;
//   - a header counts for the window it belongs to, and for no other;
//   - near a window's edge, where clocks may disagree about which one it is, a
//     call must have room in both.
//
// Reserves keep the quota useful: a class may only spend what the classes above
// it are not expected to need until the window ends. So work that nobody waits
// for uses whatever is left, and yet does not stand in the way of what is urgent.
package quota
