package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// people are those who act, and what they have done.
type people struct {
	athletes map[int]*person
	// shared is a browser that all athletes use, one after another.
	shared *browser
	// issued are all sessions and keys, in the order of time.
	issued []*issued
}

// issued is a session or a key that an athlete was given.
type issued struct {
	owner  int64
	secret string
	key    bool
	since  time.Time
	// until is how long it works at least: a session for a week, even if it is not
	// used.
	until time.Time
	// ended is when the answer came that it has ended; zero before. mayHaveEnded
	// says that this was requested, perhaps in vain.
	ended        time.Time
	mayHaveEnded bool
}

// given notes that an athlete was given a session or a key.
func (p *people) given(secret string, key bool, until time.Time) {
	p.issued = append(p.issued, &issued{
		owner: ownerOf(strings.TrimPrefix(secret, keyPrefix)), secret: secret, key: key, since: time.Now(), until: until,
	})
}

// mayEnd notes that someone is about to request the end of sessions and keys.
func (p *people) mayEnd(which func(*issued) bool) {
	for _, i := range p.issued {
		i.mayHaveEnded = i.mayHaveEnded || which(i)
	}
}

// ended notes that sessions and keys ended at an athlete's or the admin's request.
func (p *people) ended(which func(*issued) bool) {
	for _, i := range p.issued {
		if i.ended.IsZero() && which(i) {
			i.ended = time.Now()
		}
	}
}

// actor is one of those who act: a process in each storm.
type actor struct {
	w      *world
	name   string
	random *rand.Rand
}

// others are the actors besides the athletes, by their names in plans.
var others = map[string]func(*actor){
	"admin":             (*actor).administer,
	closer:              (*actor).clearStage,
	"deployer":          (*actor).deployVersions,
	"other client":      (*actor).useQuota,
	"changing limits":   (*actor).changeLimits,
	"changing capacity": (*actor).changeCapacity,
	"inactivity":        (*actor).deactivate,
	"short tokens":      (*actor).shortenTokens,
	"bad delivery":      (*actor).deliverBadly,
	"forger":            (*actor).forge,
	"intruder":          (*actor).intrude,
}

const athletePrefix = "athlete "

// drawActors returns the names of those who act: all athletes, and some of the
// others.
func drawActors(r *rand.Rand, athletes int) []string {
	names := make([]string, 0, athletes+len(others))
	for n := range athletes {
		names = append(names, athletePrefix+strconv.Itoa(n))
	}
	for _, name := range sortedKeys(others) {
		oneIn := 2
		if name == closer {
			oneIn = 4
		}
		if r.IntN(oneIn) == 0 {
			names = append(names, name)
		}
	}
	return names
}

// startActors lets the plan's actors act until the end of the storm. In the last
// one only the closer acts, if there is one.
func (w *world) startActors() {
	closes := slices.Contains(w.plan.Actors, closer)
	last := w.stormEnds().Equal(w.began.Add(w.plan.Storms[len(w.plan.Storms)-1].To))
	for _, name := range w.plan.Actors {
		if (name == closer) == (closes && last) {
			w.k.spawn(name, 0, w.lifeOf(name))
		}
	}
}

// lifeOf returns what an actor does in a storm.
func (w *world) lifeOf(name string) func() {
	if number, ok := strings.CutPrefix(name, athletePrefix); ok {
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n >= w.plan.Athletes {
			panic("no such athlete: " + name)
		}
		return w.person(n).live
	}
	act := others[name]
	if act == nil {
		panic("no such actor: " + name)
	}
	a := &actor{w, name, rng(w.plan.Seed, name, int(time.Since(w.began)/time.Hour))}
	return func() { act(a) }
}

// stormEnds returns when the present storm ends.
func (w *world) stormEnds() time.Time {
	since := time.Since(w.began)
	for _, s := range w.plan.Storms {
		if since < s.To {
			return w.began.Add(s.To)
		}
	}
	return time.Now()
}

// rest waits for a random time with a mean, and reports whether the actor may go
// on: not in a calm.
func (a *actor) rest(mean time.Duration) bool {
	left := time.Until(a.w.stormEnds())
	a.w.k.pause(min(left, time.Duration(a.random.ExpFloat64()*float64(mean))))
	return a.w.acting()
}

// wait waits for up to d.
func (a *actor) wait(d time.Duration) { a.w.k.pause(a.upTo(d)) }

// upTo returns a random time below d.
func (a *actor) upTo(d time.Duration) time.Duration {
	return time.Duration(a.random.Int64N(int64(d)))
}

// oneIn reports true in one of n cases.
func (a *actor) oneIn(n int) bool { return a.random.IntN(n) == 0 }

// tell tells the story what the actor does.
func (a *actor) tell(format string, args ...any) {
	a.w.story.action("%s %s", a.name, fmt.Sprintf(format, args...))
}

func pick[T any](a *actor, from ...T) T { return from[a.random.IntN(len(from))] }
