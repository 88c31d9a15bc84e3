package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/paceline/paceline/pkg/activity"
	activityhandler "github.com/paceline/paceline/pkg/activity/handler"
	activitymetric "github.com/paceline/paceline/pkg/activity/metric"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/athlete"
	athletehandler "github.com/paceline/paceline/pkg/athlete/handler"
	athletemetric "github.com/paceline/paceline/pkg/athlete/metric"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/fitbit"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering"
	gatheringhandler "github.com/paceline/paceline/pkg/gathering/handler"
	gatheringstrava "github.com/paceline/paceline/pkg/gathering/strava"
	"github.com/paceline/paceline/pkg/kit/consume"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// stage decides the names of cookies.
const stage = "prod"

// builders compose each function as its main package does, over the ports of
// the world.
var builders = map[string]func(*world, *instance) lambdaHandler{
	"credentials/serve-oauth":        (*world).serveOAuth,
	"credentials/serve-api":          (*world).serveKeys,
	"credentials/serve-links":        (*world).serveLinks,
	"credentials/authorize-session":  (*world).authorizeSession,
	"credentials/forward-request":    (*world).forwardRequest,
	"credentials/check-subscription": (*world).checkSubscription,
	"credentials/handle-events":      (*world).credentialsEvents,
	"credentials/reconcile-grants":   (*world).reconcileGrants,
	"credentials/reconcile-links":    (*world).reconcileLinks,
	"credentials/use-accounts":       (*world).useAccounts,
	"credentials/administer-app":     (*world).administerApp,
	"gathering/receive-webhook":      (*world).receiveWebhook,
	"gathering/gather-work":          (*world).gatherWork,
	"gathering/handle-events":        (*world).gatheringEvents,
	"gathering/probe-webhook":        (*world).probeWebhook,
	"gathering/enforce-deadlines":    (*world).gatheringDeadlines,
	"gathering/show-status":          (*world).showStatus,
	"athlete/serve-api":              (*world).serveAthletes,
	"athlete/handle-events":          (*world).athleteEvents,
	"athlete/enforce-deadlines":      (*world).athleteDeadlines,
	"athlete/count-erasures":         (*world).countErasures,
	"activity/serve-api":             (*world).serveActivities,
	"activity/handle-events":         (*world).activityEvents,
	"activity/expire-activities":     (*world).expireActivities,
	"activity/audit-activities":      (*world).auditActivities,
}

// typed adapts a Lambda handler. A nil payload is that of a schedule.
func typed[In, Out any](handle func(context.Context, In) (Out, error)) lambdaHandler {
	return func(ctx context.Context, payload any) (any, error) {
		var in In
		if payload != nil {
			var ok bool
			if in, ok = payload.(In); !ok {
				return nil, fmt.Errorf("a payload of type %T", payload)
			}
		}
		return handle(ctx, in)
	}
}

// untyped adapts a Lambda handler that ignores its payload.
func untyped[Out any](handle func(context.Context) (Out, error)) lambdaHandler {
	return func(ctx context.Context, _ any) (any, error) { return handle(ctx) }
}

// scheduled adapts the handler of a function that a schedule invokes.
func scheduled(do func(context.Context) error) lambdaHandler {
	return typed(func(ctx context.Context, _ struct{}) (struct{}, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		return struct{}{}, do(ctx)
	})
}

func (w *world) events(i *instance) event.Factory {
	return event.Factory{Now: i.now, NewID: func() string { return w.newSecret()[:26] }}
}

// credentialsPorts returns the ports of a function without a provider.
func (w *world) credentialsPorts(i *instance) credentials.Ports {
	p := w.credentials
	p.Events, p.Log = w.events(i), w.log.Logger
	p.NewSecret, p.Sleep = w.newSecret, w.sleep
	p.AthleteCapacity, p.Providers = w.plan.Capacity, provider.Names
	p.CallbackURL = siteURL + settings.WebhookPath
	return p
}

// withStrava returns the ports of a function that uses the tokens of Strava's
// athletes.
func (w *world) withStrava(i *instance) credentials.Ports {
	p := w.credentialsPorts(i)
	description := provider.Strava(stravaURL+"/oauth", settings.RevocationRevoke)
	description.ProfileURL = stravaURL + "/api/v3/athlete"
	client := httpcall.NewClient()
	client.Transport = w.invariants.watchRefreshes(network{w})
	p.OAuth = provider.NewOAuth(client, description, i.now)
	p.API = strava.NewAPI(client, stravaURL+"/api/v3")
	p.Push = strava.NewPush(client, stravaURL+"/api/v3/push_subscriptions")
	return p
}

// withFitbit returns the ports of a function that uses the tokens of accounts at
// Fitbit.
func (w *world) withFitbit(i *instance) credentials.Ports {
	p := w.credentialsPorts(i)
	client := httpcall.NewClient()
	client.Transport = network{w}
	p.Counter = nil
	p.OAuth = provider.NewOAuth(client, provider.Fitbit(fitbitURL, fitbitURL), i.now)
	p.API, p.ReadToday = fitbit.NewAPI(client, fitbitURL), fitbit.ReadToday
	return p
}

func (w *world) serveOAuth(i *instance) lambdaHandler {
	p := w.withStrava(i)
	p.OAuth = credentials.ReloadingOAuth{OAuth: p.OAuth, Vault: p.Vault}
	p.Vault = ssm.NewCachingVault(p.Vault, i.now)
	p.RedirectURI = siteURL + "/oauth/callback"
	connect := p.Connect()
	routes := &handler.OAuth{
		Connect: connect, Sessions: p.Sessions(), Authenticator: p.Authenticator(), Waitlist: p.Waitlist(connect.Capacity),
		SiteURL: siteURL, Cookies: handler.CookiesOf(stage), Log: p.Log,
	}
	return typed(api.Mux(p.Log, routes.Routes()))
}

func (w *world) serveKeys(i *instance) lambdaHandler {
	p := w.credentialsPorts(i)
	routes := &handler.API{Keys: p.Keys(), Sessions: p.Sessions(), SiteURL: siteURL, Cookies: handler.CookiesOf(stage)}
	return typed(api.Mux(p.Log, api.NewLimiter(i.now).Limit(routes.Routes())))
}

func (w *world) serveLinks(i *instance) lambdaHandler {
	p := w.withFitbit(i)
	p.RedirectURI = siteURL + "/oauth/" + provider.NameFitbit + "/callback"
	links := &handler.Links{
		Provider: provider.NameFitbit, Connect: p.Connect(), Service: p.Links(p.Tokens()),
		SiteURL: siteURL, Cookies: handler.CookiesOf(stage), Log: p.Log,
	}
	return typed(api.Mux(p.Log, links.Routes()))
}

func (w *world) authorizeSession(i *instance) lambdaHandler {
	p := w.credentialsPorts(i)
	authorizer := &handler.Authorizer{Authenticator: p.Authenticator(), Cookies: handler.CookiesOf(stage), Log: p.Log}
	return typed(authorizer.Handle)
}

func (w *world) forwardRequest(i *instance) lambdaHandler {
	p := w.withStrava(i)
	requester := p.Requester(p.Tokens())
	return typed(func(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		return requester.Forward(ctx, req)
	})
}

func (w *world) checkSubscription(i *instance) lambdaHandler {
	check := w.withStrava(i).SubscriptionCheck()
	return typed(func(ctx context.Context, req credentialsv1.CheckSubscriptionRequest) (credentialsv1.CheckSubscriptionResponse, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		return check.Check(ctx, req.AskStrava)
	})
}

func (w *world) credentialsEvents(i *instance) lambdaHandler {
	p := w.withStrava(i)
	return typed(consume.Handler(p.Log, handler.EventRoutes(p.Reconciler(p.Tokens()))...))
}

func (w *world) reconcileGrants(i *instance) lambdaHandler {
	p := w.withStrava(i)
	reconciler := p.Reconciler(p.Tokens())
	return scheduled(func(ctx context.Context) error {
		return errors.Join(credentials.ReportAthletes(ctx, p.Counter, p.Metrics), reconciler.Reconcile(ctx))
	})
}

func (w *world) reconcileLinks(i *instance) lambdaHandler {
	p := w.withFitbit(i)
	return scheduled(p.Reconciler(p.Tokens()).Reconcile)
}

func (w *world) useAccounts(i *instance) lambdaHandler {
	p := w.withFitbit(i)
	accounts := &handler.Accounts{Service: p.Accounts(p.Tokens())}
	return typed(accounts.Handle)
}

func (w *world) administerApp(i *instance) lambdaHandler {
	p := w.withStrava(i)
	admin := &handler.Admin{Service: p.Admin(), Log: p.Log}
	return typed(func(ctx context.Context, req handler.AdminRequest) (handler.AdminResponse, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		return admin.Handle(ctx, req)
	})
}

func (w *world) gatheringPorts(i *instance) gathering.Ports {
	p := w.gathering
	p.Events, p.Log = w.events(i), w.log.Logger
	return p
}

func (w *world) receiveWebhook(i *instance) lambdaHandler {
	p := w.gatheringPorts(i)
	return typed(api.Mux(p.Log, gatheringhandler.WebhookRoutes(p.Receiver())))
}

func (w *world) gatherWork(i *instance) lambdaHandler {
	p := w.gatheringPorts(i)
	p.Strava = gatheringstrava.New(func(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
		return invokeFunction[credentialsv1.ForwardResponse](ctx, w, "credentials/forward-request", req)
	}, i.now)
	return typed(gatheringhandler.Work(p.Gatherer()))
}

func (w *world) gatheringEvents(i *instance) lambdaHandler {
	p := w.gatheringPorts(i)
	return typed(consume.Handler(p.Log, gatheringhandler.EventRoutes(p.Authorizations(), p.Configuration())...))
}

func (w *world) probeWebhook(i *instance) lambdaHandler {
	p := w.gatheringPorts(i)
	p.CheckSubscription = func(ctx context.Context, req credentialsv1.CheckSubscriptionRequest) (credentialsv1.CheckSubscriptionResponse, error) {
		return invokeFunction[credentialsv1.CheckSubscriptionResponse](ctx, w, "credentials/check-subscription", req)
	}
	return typed(gatheringhandler.ProbeWebhook(p.Probe()))
}

// invokeFunction invokes another boundary's function, as package invoke does.
func invokeFunction[Out any](ctx context.Context, w *world, name string, in any) (out Out, _ error) {
	res, err := w.invoke(ctx, name, in)
	if err != nil {
		return out, fault.New(fault.Transient, "invoke %s: %w", name, err)
	}
	return res.(Out), nil
}

func (w *world) gatheringDeadlines(i *instance) lambdaHandler {
	p := w.gatheringPorts(i)
	return typed(gatheringhandler.EnforceDeadlines(p.Deadlines(), p.Metrics, p.Log))
}

func (w *world) showStatus(i *instance) lambdaHandler {
	return untyped(gatheringhandler.Status(w.gatheringPorts(i).Overview()))
}

// metrics returns the metrics of a function that writes them itself.
func (w *world) metrics(i *instance, namespace string) *emf.Metrics {
	return emf.New(meter{w.alarms, namespace}, i.now, namespace, stage)
}

func (w *world) athletePorts(i *instance) athlete.Ports {
	p := w.athlete
	p.Events, p.NewReceipt = w.events(i), w.newSecret
	return p
}

func (w *world) serveAthletes(i *instance) lambdaHandler {
	routes := athletehandler.APIRoutes(w.athletePorts(i).Service(), siteURL)
	return typed(api.Mux(w.log.Logger, api.NewLimiter(i.now).Limit(routes)))
}

func (w *world) athleteEvents(i *instance) lambdaHandler {
	p := w.athletePorts(i)
	p.Publisher = nil // Handling events publishes none.
	return typed(consume.Handler(w.log.Logger, athletehandler.EventRoutes(p.Service())...))
}

func (w *world) athleteDeadlines(i *instance) lambdaHandler {
	m := w.metrics(i, athletemetric.Namespace)
	return typed(emf.Flushing(m, athletehandler.EnforceDeadlines(w.athletePorts(i).Deadlines(), m)))
}

func (w *world) countErasures(i *instance) lambdaHandler {
	return typed(athletehandler.CountErasures(w.athletePorts(i).ErasureCounter()))
}

func (w *world) activityPorts(i *instance) activity.Ports {
	p := w.activity
	p.Events = w.events(i)
	return p
}

func (w *world) serveActivities(i *instance) lambdaHandler {
	routes := activityhandler.APIRoutes(w.activityPorts(i).Reader())
	return typed(api.Mux(w.log.Logger, api.NewLimiter(i.now).Limit(routes)))
}

func (w *world) activityEvents(i *instance) lambdaHandler {
	return typed(consume.Handler(w.log.Logger, activityhandler.EventRoutes(w.activityPorts(i).Recorder())...))
}

func (w *world) expireActivities(i *instance) lambdaHandler {
	return scheduled(w.activityPorts(i).Sweeper().Sweep)
}

func (w *world) auditActivities(i *instance) lambdaHandler {
	m := w.metrics(i, activitymetric.Namespace)
	return typed(emf.Flushing(m, activityhandler.Audit(w.activityPorts(i).Auditor(), m, w.log.Logger)))
}
