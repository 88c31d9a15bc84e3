package sim

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

// newActivity returns an activity that bears the athlete's name.
func (p *person) newActivity() strava.NewActivity {
	p.uploads++
	n := strava.NewActivity{
		Name:        fmt.Sprintf("%s's activity %d", p.name, p.uploads),
		SportType:   pick(p.actor, "Ride", "Run", "Swim", "Hike", "VirtualRide"),
		Timezone:    pick(p.actor, "Europe/Oslo", "America/Denver", "Asia/Tokyo"),
		Distance:    float64(500+p.random.IntN(90_000)) / 2,
		ElapsedTime: 300 + p.random.IntN(9000),
		Gain:        float64(p.random.IntN(900)),
		Visibility:  pick(p.actor, strava.Everyone, strava.Everyone, strava.Everyone, strava.FollowersOnly, strava.OnlyMe),
	}
	n.MovingTime = n.ElapsedTime - p.random.IntN(200)
	return n
}

func (p *person) add(n strava.NewActivity) int64 {
	id, err := p.w.strava.AddActivity(p.id, n)
	if err != nil {
		panic(err)
	}
	return id
}

// recordHistory records what the athlete did before the first day.
func (p *person) recordHistory() {
	count := p.random.IntN(61)
	if p.oneIn(12) {
		count = 230 // two pages
	}
	for range count {
		n := p.newActivity()
		n.Start = p.w.began.Add(-p.upTo(3 * 365 * day)).Add(-4 * time.Hour)
		p.add(n)
	}
	p.tell("has %d activities", count)
}

func (p *person) upload() { p.tell("uploads %d", p.add(p.newActivity())) }

// uploadMany uploads what a device has kept.
func (p *person) uploadMany() {
	count := 2 + p.random.IntN(19)
	p.tell("uploads %d activities", count)
	for range count {
		n := p.newActivity()
		n.Start = time.Now().Add(-2 * time.Hour).Add(-p.upTo(20 * day))
		p.add(n)
		if p.oneIn(3) {
			p.wait(2 * time.Minute)
		}
	}
}

// uploadOld uploads an activity of long ago: scans may have passed its place.
func (p *person) uploadOld() {
	n := p.newActivity()
	n.Start = time.Now().Add(-4 * time.Hour).Add(-p.upTo(2 * 365 * day))
	p.tell("uploads %d of %s", p.add(n), n.Start.Format(time.DateOnly))
}

// uploadSlowly uploads an activity that Strava shows later.
func (p *person) uploadSlowly() {
	n := p.newActivity()
	d := p.upTo(30 * time.Minute)
	n.ReadyAfter = strava.Duration(d)
	p.tell("uploads %d, which Strava shows after %s", p.add(n), d.Round(time.Second))
}

// anyActivity returns one of the athlete's activities with one of the
// visibilities, or of all if none is given; false if there is none.
func (p *person) anyActivity(visibility ...string) (strava.Activity, bool) {
	all, err := p.w.strava.Activities(p.id)
	if err != nil {
		panic(err)
	}
	var fit []strava.Activity
	for _, a := range all {
		if len(visibility) == 0 || strings.Contains(strings.Join(visibility, " "), a.Visibility) {
			fit = append(fit, a)
		}
	}
	if len(fit) == 0 {
		return strava.Activity{}, false
	}
	return fit[p.random.IntN(len(fit))], true
}

// edit changes one of the activities.
func (p *person) edit(e strava.Edit, what string, visibility ...string) {
	if a, ok := p.anyActivity(visibility...); ok {
		p.tell("%s %d", what, a.ID)
		if err := p.w.strava.EditActivity(p.id, a.ID, e); err != nil {
			panic(err)
		}
	}
}

func (p *person) rename() {
	p.uploads++
	name := fmt.Sprintf("%s's activity %d, renamed", p.name, p.uploads)
	p.edit(strava.Edit{Name: &name}, "renames")
}

func (p *person) retype() {
	sport := pick(p.actor, "Ride", "Run", "Walk", "GravelRide")
	p.edit(strava.Edit{SportType: &sport}, "makes a "+sport+" of")
}

func (p *person) hide() {
	visibility := strava.OnlyMe
	p.edit(strava.Edit{Visibility: &visibility}, "hides", strava.Everyone, strava.FollowersOnly)
}

func (p *person) unhide() {
	visibility := pick(p.actor, strava.Everyone, strava.FollowersOnly)
	p.edit(strava.Edit{Visibility: &visibility}, "shows", strava.OnlyMe)
}

// editSilently changes a field of which Strava sends no event.
func (p *person) editSilently() {
	a, ok := p.anyActivity()
	if !ok {
		return
	}
	value := json.RawMessage(fmt.Sprintf("%d.5", 1000+p.random.IntN(50_000)))
	p.tell("corrects the distance of %d", a.ID)
	if err := p.w.strava.SetFields(p.id, a.ID, map[string]json.RawMessage{"distance": value}); err != nil {
		panic(err)
	}
}

func (p *person) remove(id int64) {
	if err := p.w.strava.DeleteActivity(p.id, id); err != nil {
		panic(err)
	}
}

func (p *person) deleteOne() {
	if a, ok := p.anyActivity(); ok {
		p.tell("deletes %d", a.ID)
		p.remove(a.ID)
	}
}

// deleteMany deletes up to 60 activities at once.
func (p *person) deleteMany() {
	all, err := p.w.strava.Activities(p.id)
	if err != nil {
		panic(err)
	}
	all = all[:min(len(all), 60)]
	p.tell("deletes %d activities", len(all))
	for _, a := range all {
		p.remove(a.ID)
	}
}

// corrupt makes an activity unreadable for a while.
func (p *person) corrupt() {
	a, ok := p.anyActivity()
	if !ok {
		return
	}
	lasts := min(p.upTo(2*day), time.Until(p.w.stormEnds()))
	p.w.story.action("Strava cannot read %d of %s for %s", a.ID, p.name, lasts.Round(time.Minute))
	if err := p.w.strava.CorruptActivity(p.id, a.ID); err != nil {
		panic(err)
	}
	p.w.k.after(lasts, func() {
		_ = p.w.strava.RepairActivity(p.id, a.ID) // It may have been deleted.
	})
}

// withdraw removes the application at Strava.
func (p *person) withdraw() {
	if p.w.strava.Deauthorize(p.id) == nil {
		p.tell("withdraws at Strava")
	}
}
