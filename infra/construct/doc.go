// Package construct makes the parts of the stacks: a function, the routes it
// serves, a queue it reads, the events it consumes, a table, an alarm. Each part
// includes what it must never lack, such as a log group with a retention, dead
// letters with an alarm, or a recovery period, so that no stack can forget it.
package construct
