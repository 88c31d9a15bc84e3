package sim

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	athletehandler "github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/provider"
)

// adminFunction is the function that the admin's commands invoke.
const adminFunction = "credentials/administer-app"

// admin is the operator, who also sets up the stage and puts it in order.
func (w *world) admin() *actor { return &actor{w, "admin", rng(w.plan.Seed, "admin", 0)} }

// command performs an action of the admin function.
func (a *actor) command(req handler.AdminRequest) (handler.AdminResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := a.w.invoke(ctx, adminFunction, req)
	result := "done"
	if err != nil {
		result = err.Error()
	}
	a.tell("%s: %s", req.Action, result)
	if err != nil {
		return handler.AdminResponse{}, err
	}
	return out.(handler.AdminResponse), nil
}

// insist performs an action until it succeeds, at most for some hours.
func (a *actor) insist(req handler.AdminRequest) handler.AdminResponse {
	for wait := time.Minute; wait < 4*time.Hour; wait *= 2 {
		res, err := a.command(req)
		if err == nil {
			return res
		}
		a.w.k.pause(wait)
	}
	return handler.AdminResponse{}
}

// setUp registers the applications and subscribes to Strava's webhooks, as an admin
// does who has deployed the stage. It must be called in a process.
func (w *world) setUp() {
	a := w.admin()
	id, secret := w.fitbit.Client()
	a.insist(handler.AdminRequest{Action: handler.ActionSetApp, Provider: provider.NameFitbit, ClientID: id, ClientSecret: secret})
	a.insist(w.registration())
	a.insist(handler.AdminRequest{Action: handler.ActionEnsureSubscription})
}

// registration returns the request that stores Strava's present registration.
func (w *world) registration() handler.AdminRequest {
	id, secret := w.strava.Client()
	return handler.AdminRequest{Action: handler.ActionSetApp, ClientID: strconv.FormatInt(id, 10), ClientSecret: secret}
}

// settle ends what other people do to Strava, and does what the runbook says: the
// admin stores the registration, sees to the subscription, and moves dead
// letters back to their queues. It returns at once.
func (w *world) settle() {
	w.restoreStrava()
	if w.closed {
		return
	}
	a := w.admin()
	w.k.spawn("admin", 0, func() {
		a.insist(w.registration())
		a.insist(handler.AdminRequest{Action: handler.ActionEnsureSubscription, Replace: true})
		for _, after := range []time.Duration{time.Hour, 5 * time.Hour} {
			a.redrive()
			w.k.pause(after)
		}
		a.redrive()
	})
}

// administer does what an admin does now and then.
func (a *actor) administer() {
	deeds := []func(){
		a.rotateSecret, a.revokeAthlete, a.endSessions, a.look, a.forgetWaiting, a.redrive, a.redrive, a.replay, a.loseSubscription, a.moveSubscription,
	}
	for a.rest(36 * time.Hour) {
		deeds[a.random.IntN(len(deeds))]()
	}
}

// rotateSecret rotates the client secret at Strava, and stores it some time later.
func (a *actor) rotateSecret() {
	a.w.strava.RotateClientSecret()
	a.tell("rotates the client secret")
	a.wait(time.Hour)
	a.insist(a.w.registration())
}

// revokeAthlete ends an authorization, and gives the athlete the receipt.
func (a *actor) revokeAthlete() {
	p := a.w.person(a.random.IntN(a.w.plan.Athletes))
	if res, err := a.command(handler.AdminRequest{Action: handler.ActionRevokeAthlete, AthleteID: p.id}); err == nil {
		p.receipts = append(p.receipts, res.Receipt)
	}
}

// endSessions ends the sessions of all athletes, page by page.
func (a *actor) endSessions() {
	asked := time.Now()
	a.w.people.mayEnd(func(i *issued) bool { return !i.key })
	for cursor := ""; ; {
		res, err := a.command(handler.AdminRequest{Action: handler.ActionEndSessions, Cursor: cursor})
		switch {
		case err != nil:
			return
		case res.NextCursor == "":
			a.w.people.ended(func(i *issued) bool { return !i.key && !i.since.After(asked) })
			return
		}
		cursor = res.NextCursor
	}
}

// look looks at the state of the stage.
func (a *actor) look() {
	for _, action := range []string{handler.ActionStatus, handler.ActionAthletes, handler.ActionShowSubscription, handler.ActionWaitlist} {
		_, _ = a.command(handler.AdminRequest{Action: action}) // The story has the error.
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, _ = a.w.invoke(ctx, "gathering/show-status", struct{}{})
	_, _ = a.countErasures(athletehandler.CountErasuresRequest{})
	_, _ = a.w.invoke(ctx, "credentials/use-accounts", handler.AccountsRequest{Action: handler.ActionListAccounts, Provider: provider.NameFitbit})
}

// forgetWaiting takes a person from the waitlist.
func (a *actor) forgetWaiting() {
	res, err := a.command(handler.AdminRequest{Action: handler.ActionWaitlist})
	if err == nil && len(res.Waitlist) > 0 {
		_, _ = a.command(handler.AdminRequest{Action: handler.ActionRemoveFromWaitlist, Contact: res.Waitlist[0].Contact})
	}
}

// redrive moves all dead letters back to their queues.
func (a *actor) redrive() {
	for _, name := range sortedKeys(a.w.cloud.queues) {
		if q := a.w.cloud.queues[name]; len(q.deadLetters) > 0 {
			a.tell("moves %d dead letters back to %s", len(q.deadLetters), name)
			q.redrive()
		}
	}
}

// replay replays some hours of the archive.
func (a *actor) replay() {
	to := time.Now().Add(-a.upTo(4 * day))
	from := to.Add(-a.upTo(12 * time.Hour))
	a.tell("replays the archive of %s from %s", to.Sub(from).Round(time.Minute), from.UTC().Format(time.DateTime))
	a.w.cloud.bus.replay(from, to)
}

// loseSubscription deletes the subscription at Strava, as its support may do, and
// subscribes again some time later.
func (a *actor) loseSubscription() {
	if a.deleteSubscription() {
		a.wait(8 * time.Hour)
		a.insist(handler.AdminRequest{Action: handler.ActionEnsureSubscription})
	}
}

// moveSubscription lets another program subscribe with the same application. The
// admin takes the subscription back some time later.
func (a *actor) moveSubscription() {
	if !a.deleteSubscription() {
		return
	}
	form := a.client()
	form.Set("callback_url", elsewhereURL+"/hook")
	status := a.push(http.MethodPost, "", form)
	a.tell("lets another program subscribe: status %d", status)
	a.wait(8 * time.Hour)
	a.insist(handler.AdminRequest{Action: handler.ActionEnsureSubscription, Replace: true})
}

// deleteSubscription deletes the subscription at Strava without the system.
func (a *actor) deleteSubscription() bool {
	sub := a.w.strava.Subscription()
	if sub == nil {
		return false
	}
	status := a.push(http.MethodDelete, "/"+itoa(sub.ID), a.client())
	a.tell("deletes the subscription at Strava: status %d", status)
	return status == http.StatusNoContent
}

func (a *actor) client() url.Values {
	id, secret := a.w.strava.Client()
	return url.Values{"client_id": {itoa(id)}, "client_secret": {secret}}
}

// push calls Strava's API for subscriptions.
func (a *actor) push(method, path string, form url.Values) (status int) {
	r, err := http.NewRequestWithContext(context.Background(), method, stravaURL+"/api/v3/push_subscriptions"+path+"?"+form.Encode(), nil)
	if err != nil {
		panic(err)
	}
	res, err := a.w.hosts[host(stravaURL)].RoundTrip(r)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// elsewhereURL is where another program receives webhooks.
const elsewhereURL = "https://elsewhere.test"

// elsewhere is that program: it answers handshakes.
func elsewhere(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"hub.challenge":"` + r.URL.Query().Get("hub.challenge") + `"}`))
}
