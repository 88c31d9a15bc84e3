// Package construct makes the parts that the stacks are composed of: a
// function, the routes it serves, a queue it reads, the events it consumes, a
// table, an alarm. Each part brings along what it must never be without (a log
// group with its retention, dead letters with their alarm, a recovery window),
// so that no stack can forget it.
package construct
