package athlete_test

import (
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/retention"
)

func (p *plane) link(t *testing.T, athleteGeneration, generation int64, id string) {
	t.Helper()
	kittest.Must(t, p.AccountLinked(t.Context(), cause, credentialsv1.AccountLinked{
		AthleteID: 1, AthleteGeneration: athleteGeneration, Provider: "fitbit", AccountID: id, Generation: generation, LinkedAt: start,
	}))
}

func (p *plane) unlink(t *testing.T, generation int64, id, receipt string) {
	t.Helper()
	kittest.Must(t, p.AccountUnlinked(t.Context(), cause, credentialsv1.AccountUnlinked{
		AthleteID: 1, Provider: "fitbit", AccountID: id, Generation: generation, Receipt: receipt, Reason: credentialsv1.UnlinkedByAthlete, RequestedAt: start,
	}))
}

// links are the ids of the linked accounts.
func (p *plane) links(t *testing.T, generation int64) []string {
	t.Helper()
	me, err := p.Me(t.Context(), athlete.Authorization{AthleteID: 1, Generation: generation})
	kittest.Must(t, err)
	ids := []string{}
	for _, l := range me.LinkedAccounts() {
		if l.Provider != "fitbit" || !l.LinkedAt.Equal(start) {
			t.Errorf("link %+v", l)
		}
		ids = append(ids, l.AccountID)
	}
	return ids
}

// TestLinksAreTheSameInEveryOrder: the event with the largest generation counts,
// and of one generation the end.
func TestLinksAreTheSameInEveryOrder(t *testing.T) {
	type step = func(*testing.T, *plane)
	link := func(generation int64, id string) step {
		return func(t *testing.T, p *plane) { p.link(t, gen1, generation, id) }
	}
	unlink := func(generation int64, id string) step {
		return func(t *testing.T, p *plane) { p.unlink(t, generation, id, "receipt") }
	}
	for name, c := range map[string]struct {
		steps []step
		want  []string
	}{
		"a link":                      {[]step{link(1, "A")}, []string{"A"}},
		"again":                       {[]step{link(1, "A"), link(1, "A")}, []string{"A"}},
		"renewed":                     {[]step{link(1, "A"), link(2, "A")}, []string{"A"}},
		"an older one late":           {[]step{link(2, "B"), link(1, "A")}, []string{"B"}},
		"unlinked":                    {[]step{link(1, "A"), unlink(1, "A")}, []string{}},
		"unlinked twice":              {[]step{link(1, "A"), unlink(1, "A"), unlink(1, "A")}, []string{}},
		"the link late":               {[]step{unlink(1, "A"), link(1, "A")}, []string{}},
		"the link again":              {[]step{link(1, "A"), unlink(1, "A"), link(1, "A")}, []string{}},
		"linked again":                {[]step{link(1, "A"), unlink(1, "A"), link(2, "A")}, []string{"A"}},
		"an older end late":           {[]step{link(1, "A"), link(2, "A"), unlink(1, "A")}, []string{"A"}},
		"an end that was never begun": {[]step{link(1, "A"), unlink(0, "B")}, []string{"A"}},
	} {
		p := newPlane()
		p.authorize(t, gen1, "read")
		for _, do := range c.steps {
			do(t, p)
		}
		if d := cmp.Diff(c.want, p.links(t, gen1)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestUnlinkingConfirmsTheErasure(t *testing.T) {
	p := newPlane()
	p.authorize(t, gen1, "read")
	p.gather(t, gen1, 0, "Ada")
	p.link(t, gen1, 1, "A")
	p.unlink(t, 1, "A", "receipt")
	if len(p.published) > 0 {
		t.Errorf("published %+v", p.facts())
	}
	e, err := p.Erasure(t.Context(), "receipt")
	kittest.Must(t, err)
	want := athlete.Erasure{Receipt: "receipt", RequestedAt: start, Parts: []string{"athlete", "fitbit"}, Confirmed: map[string]time.Time{"athlete": start}}
	if d := cmp.Diff(want, e); d != "" || !e.CompletedAt().IsZero() {
		t.Error(d)
	}
	p.confirm(t, "receipt", "fitbit", start.Add(time.Second))
	if e, err := p.Erasure(t.Context(), "receipt"); err != nil || !e.CompletedAt().Equal(start.Add(time.Second)) {
		t.Errorf("%+v (%v)", e, err)
	}
	if p.name(t, gen1) != "Ada" {
		t.Error("the profile is gone")
	}
}

func TestLinksEndWithTheAuthorization(t *testing.T) {
	p := newPlane()
	p.authorize(t, gen1, "read")
	p.link(t, gen1, 1, "A")
	p.revoke(t, gen1, "receipt")
	p.link(t, gen1, 2, "A") // It comes late.
	p.authorize(t, gen2, "read")
	if got := p.links(t, gen2); len(got) > 0 {
		t.Errorf("after leaving: %v", got)
	}
	p.link(t, gen2, 3, "B")
	p.revoke(t, gen1, "receipt")
	if got := p.links(t, gen2); len(got) != 1 {
		t.Errorf("of the later authorization: %v", got)
	}
}

// TestALateRevocationKeepsTheTombstonesOfLinks: an unlinked account of a later
// authorization does not come back.
func TestALateRevocationKeepsTheTombstonesOfLinks(t *testing.T) {
	p := newPlane()
	p.authorize(t, gen2, "read")
	p.link(t, gen2, 1, "A")
	p.unlink(t, 1, "A", "receipt")
	p.revoke(t, gen1, "earlier")
	p.link(t, gen2, 1, "A")
	if got := p.links(t, gen2); len(got) > 0 {
		t.Errorf("linked: %v", got)
	}
}

func TestALinkOlderThanATombstoneIsIgnored(t *testing.T) {
	p := newPlane()
	p.now = start.Add(retention.StravaData)
	p.link(t, gen1, 1, "A")
	if a, err := p.Accounts.Account(t.Context(), 1); err != nil || len(a.Links) > 0 || !a.ExpiresAt.Equal(time.Time{}) {
		t.Errorf("%+v (%v)", a, err)
	}
}
