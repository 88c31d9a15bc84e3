package credentials

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// Admin performs the operator's actions. Only IAM admits its callers.
type Admin struct {
	Ledger
	Vault Vault
	// Parameters is all that the vault holds.
	Parameters Parameters
	Waitlist   *Waitlist
	Sessions   *Sessions
	Push       Push
	// Providers whose accounts there may be, by name.
	Providers []string
	// NewSecret returns at least 128 unguessable bits as URL-safe text.
	NewSecret func() string
	// Capacity is how many athletes the application may have.
	Capacity int
	// CallbackURL is the public URL of the webhook without its last, secret
	// segment, and without a slash at its end.
	CallbackURL string
	// Sleep waits, or returns early with the context's error.
	Sleep func(context.Context, time.Duration) error
}

// minVerifyToken is the shortest verify token that the operator may choose. The
// webhook receives its digest, from which the token must not be guessed.
const minVerifyToken = 20

// SetApp stores the registration with Strava. An empty verifyToken keeps the
// stored one, or creates one. The error is an invalid fault if the input is
// invalid.
//
// If the stored registration can never be read again, SetApp replaces it and
// reports that in replaced. The callback URL then changes, and Strava's
// subscription points to the old one until [Admin.EnsureSubscription] is
// called. If the stored registration cannot be read at the moment, SetApp fails
// and changes nothing.
func (a *Admin) SetApp(ctx context.Context, clientID string, clientSecret, verifyToken secret.String) (replaced bool, _ error) {
	if n, err := strconv.ParseInt(clientID, 10, 64); err != nil || n <= 0 {
		return false, fault.New(fault.Invalid, "the client id is not a positive number")
	}
	if clientSecret.Empty() {
		return false, fault.New(fault.Invalid, "the client secret is empty")
	}
	if n := len(verifyToken.Reveal()); n > 0 && n < minVerifyToken {
		return false, fault.New(fault.Invalid, "the verify token has %d characters; it must have at least %d", n, minVerifyToken)
	}
	app, err := a.Vault.App(ctx, ProviderStrava)
	switch {
	case fault.Is(err, fault.Permanent):
		replaced = true
	case err != nil && !fault.Is(err, fault.NotFound):
		return false, fmt.Errorf("read the stored registration, which was not changed: %w", err)
	}
	if app.ClientID != "" && app.ClientID != clientID {
		if err := a.refuseWhileConnected(ctx, ProviderStrava); err != nil {
			return false, err
		}
		app.SubscriptionID = 0 // The push subscription was the old application's.
	}
	app.ClientID, app.ClientSecret = clientID, clientSecret
	if !verifyToken.Empty() {
		app.VerifyToken = verifyToken
	}
	if app.VerifyToken.Empty() {
		app.VerifyToken = secret.New(a.NewSecret())
	}
	if app.CallbackKey.Empty() {
		app.CallbackKey = secret.New(a.NewSecret())
	}
	if err := a.Vault.SaveApp(ctx, ProviderStrava, app); err != nil {
		return false, fmt.Errorf("save the registration: %w", err)
	}
	if err := a.configureWebhook(ctx, app); err != nil && replaced {
		return true, fmt.Errorf("the unreadable registration was replaced; run subscription ensure: %w", err)
	} else if err != nil {
		return false, err
	}
	return replaced, nil
}

// clientIDs matches the client ids of providers other than Strava.
var clientIDs = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// SetProviderApp stores the registration with a provider other than Strava. The
// error is an invalid fault if the input is invalid, and a conflict if accounts
// are linked through another application.
func (a *Admin) SetProviderApp(ctx context.Context, provider, clientID string, clientSecret secret.String) error {
	if provider == ProviderStrava || !slices.Contains(a.Providers, provider) {
		return fault.New(fault.Invalid, "there is no provider %q; there are: %s", provider, strings.Join(a.Providers, ", "))
	}
	if !clientIDs.MatchString(clientID) {
		return fault.New(fault.Invalid, "the client id has characters other than letters, digits, dot, underscore and hyphen")
	}
	if clientSecret.Empty() {
		return fault.New(fault.Invalid, "the client secret is empty")
	}
	app, err := a.Vault.App(ctx, provider)
	// A registration that can never be read again is replaced.
	if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Permanent) {
		return fmt.Errorf("read the stored registration, which was not changed: %w", err)
	}
	if app.ClientID != "" && app.ClientID != clientID {
		if err := a.refuseWhileConnected(ctx, provider); err != nil {
			return err
		}
	}
	if err := a.Vault.SaveApp(ctx, provider, App{ClientID: clientID, ClientSecret: clientSecret}); err != nil {
		return fmt.Errorf("save the registration: %w", err)
	}
	return nil
}

// refuseWhileConnected returns a conflict while accounts of the provider are
// connected. Another application cannot use their tokens, so each of them would
// have to connect again.
func (a *Admin) refuseWhileConnected(ctx context.Context, provider string) error {
	return a.eachGrant(ctx, provider, func(g Grant) error {
		if g.State != Erased {
			return fault.New(fault.Conflict, "accounts are connected through the present application; deploy another stage for another one")
		}
		return nil
	})
}

// eachGrant calls visit with each of the provider's grants until it returns an
// error.
func (a *Admin) eachGrant(ctx context.Context, provider string, visit func(Grant) error) error {
	for cursor := ""; ; {
		page, next, err := a.Grants.List(ctx, provider, cursor, 200)
		if err != nil {
			return fmt.Errorf("list the grants: %w", err)
		}
		for _, g := range page {
			if err := visit(g); err != nil {
				return err
			}
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
}

// configureWebhook publishes the values by which the webhook recognizes Strava.
func (a *Admin) configureWebhook(ctx context.Context, app App) error {
	err := a.Publisher.Publish(ctx, a.Events.New(credentialsv1.WebhookConfigured{
		CallbackKeySHA256: app.CallbackKey.SHA256(),
		VerifyTokenSHA256: app.VerifyToken.SHA256(),
		SubscriptionID:    app.SubscriptionID,
		Version:           a.Events.Now().UnixMicro(),
	}))
	if err != nil {
		return fmt.Errorf("configure the webhook: %w", err)
	}
	return nil
}

// handshakeTime is how long EnsureSubscription waits until the webhook has
// received its configuration; handshakePause is the wait between two tries.
const (
	handshakeTime  = 25 * time.Second
	handshakePause = time.Second
)

// EnsureSubscription makes sure that Strava has one push subscription, to our
// callback URL. It tries the callback before it calls Strava, so that its error
// names the cause if the URL is wrong or a proxy refuses it.
//
// A subscription to another host belongs to another stage or program that uses
// the same Strava application, and would receive no more events. Unless replace
// is set, the error is then a conflict that names the host.
func (a *Admin) EnsureSubscription(ctx context.Context, replace bool) (Subscription, error) {
	app, err := a.Vault.App(ctx, ProviderStrava)
	if err != nil {
		return Subscription{}, fmt.Errorf("read the registration: %w", err)
	}
	callback := callbackURL(a.CallbackURL, app)
	sub, err := a.Push.Subscription(ctx, app)
	switch {
	case err == nil && sub.CallbackURL == callback:
		return sub, a.saveSubscription(ctx, app, sub)
	case err == nil && !replace && hostOf(sub.CallbackURL) != hostOf(callback):
		return Subscription{}, fault.New(fault.Conflict,
			"Strava pushes this application's events to %s, and an application has one subscription only; "+
				"with --replace %s gets the events and %s gets no more", hostOf(sub.CallbackURL), hostOf(callback), hostOf(sub.CallbackURL))
	case err == nil:
		if err := a.Push.Unsubscribe(ctx, app, sub.ID); err != nil {
			return Subscription{}, fmt.Errorf("delete the subscription to another callback: %w", err)
		}
	case !fault.Is(err, fault.NotFound):
		return Subscription{}, fmt.Errorf("look for the subscription: %w", err)
	}
	app.SubscriptionID = 0
	if err := a.configureWebhook(ctx, app); err != nil {
		return Subscription{}, err
	}
	if err := a.handshake(ctx, app, callback); err != nil {
		return Subscription{}, err
	}
	if sub, err = a.Push.Subscribe(ctx, app, callback); err != nil {
		return Subscription{}, fmt.Errorf("create the subscription: %w", err)
	}
	return sub, a.saveSubscription(ctx, app, sub)
}

// handshake tries the callback until it returns the challenge.
func (a *Admin) handshake(ctx context.Context, app App, callback string) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	for {
		err := a.Push.Handshake(ctx, app, callback, a.NewSecret())
		if err == nil {
			return nil
		}
		if a.Sleep(ctx, handshakePause) != nil {
			return fmt.Errorf("the callback does not answer as Strava needs it to: %w", err)
		}
	}
}

// saveSubscription stores the id of the subscription and publishes it to the
// webhook.
func (a *Admin) saveSubscription(ctx context.Context, app App, sub Subscription) error {
	if app.SubscriptionID != sub.ID {
		app.SubscriptionID = sub.ID
		if err := a.Vault.SaveApp(ctx, ProviderStrava, app); err != nil {
			return fmt.Errorf("save the subscription id: %w", err)
		}
	}
	return a.configureWebhook(ctx, app)
}

// ShowSubscription returns the subscription that Strava has; a not-found fault
// if it has none.
func (a *Admin) ShowSubscription(ctx context.Context) (Subscription, error) {
	app, err := a.Vault.App(ctx, ProviderStrava)
	if err != nil {
		return Subscription{}, fmt.Errorf("read the registration: %w", err)
	}
	return a.Push.Subscription(ctx, app)
}

// DeleteSubscription deletes the subscription at Strava. The webhook refuses
// events that still arrive. The error is a conflict if the subscription points
// to another host.
func (a *Admin) DeleteSubscription(ctx context.Context) error {
	app, err := a.Vault.App(ctx, ProviderStrava)
	if err != nil {
		return fmt.Errorf("read the registration: %w", err)
	}
	sub, err := a.Push.Subscription(ctx, app)
	if err != nil {
		return fmt.Errorf("look for the subscription: %w", err)
	}
	if host := hostOf(sub.CallbackURL); host != hostOf(a.CallbackURL) {
		return fault.New(fault.Conflict, "the subscription points to %s, not to this stage: delete it there", host)
	}
	if err := a.Push.Unsubscribe(ctx, app, sub.ID); err != nil {
		return fmt.Errorf("delete the subscription: %w", err)
	}
	app.SubscriptionID = 0
	if err := a.Vault.SaveApp(ctx, ProviderStrava, app); err != nil {
		return fmt.Errorf("forget the subscription id: %w", err)
	}
	return a.configureWebhook(ctx, app)
}

// Athletes pages through the grants of a provider's accounts; see
// [Grants.List].
func (a *Admin) Athletes(ctx context.Context, provider, cursor string, limit int) (page []Grant, next string, err error) {
	return listGrants(ctx, a.Grants, a.Providers, provider, cursor, limit)
}

// IdleAthletes pages through the grants that take up a place and whose athletes
// have not signed in for as long as idle; see [Grant.SignedInAt]. A call reads
// limit grants and returns the idle ones among them, so a page may be empty
// although next is not.
func (a *Admin) IdleAthletes(ctx context.Context, provider, cursor string, limit int, idle time.Duration) (page []Grant, next string, err error) {
	if idle < SessionTTL {
		return nil, "", fault.New(fault.Invalid, "idle must be at least %d days, the longest life of a session", SessionTTL/(24*time.Hour))
	}
	page, next, err = a.Athletes(ctx, provider, cursor, limit)
	since := a.Events.Now().Add(-idle)
	page = slices.DeleteFunc(page, func(g Grant) bool { return !g.Authorized() || g.SignedInAt().After(since) })
	return page, next, err
}

// RevokeAthlete ends an athlete's authorization as if the athlete had left, and
// returns the receipt of the erasure. When it returns, no call can be made
// under the authorization any more. [Reconciler.Reconcile] revokes and deletes
// the tokens, because the admin function has no access to them; only then is
// the place free. The error is a not-found fault if there is no authorization,
// and a conflict if it is being ended already.
func (a *Admin) RevokeAthlete(ctx context.Context, athleteID int64) (receipt string, _ error) {
	g, err := a.revoke(ctx, Athlete(athleteID))
	if err != nil {
		return "", err
	}
	return g.Revocations[len(g.Revocations)-1].Receipt, nil
}

// revoke ends the authorization of the account's grant under a new receipt. The
// last pending revocation of the grant that it returns has that receipt. Errors
// are those of [Admin.RevokeAthlete].
func (a *Admin) revoke(ctx context.Context, account Account) (Grant, error) {
	receipt := a.NewSecret()
	return a.update(ctx, account, func(g *Grant) (bool, error) {
		switch g.State {
		case "", Erased:
			return false, fault.New(fault.NotFound, "%s is not connected", account)
		case Revoked:
			return false, fault.New(fault.Conflict, "the authorization of %s is being ended already", account)
		}
		now := a.Events.Now()
		g.revoke(PendingRevocation{
			Receipt: receipt, Generation: g.Generation, RequestedAt: now, Reason: credentialsv1.RevokedByAdmin, Owner: g.Owner,
		}, now)
		return true, nil
	})
}

// Status is the status report of the deployment.
type Status struct {
	ClientID string
	// Subscription is the zero value when Strava has none.
	Subscription Subscription
	// Athletes counts the grants by state.
	Athletes map[State]int
	// Authorized is how many of them take up a place; Capacity is how many
	// places there are.
	Authorized, Capacity int
	// Receipts are those of the athletes' erasures that the athlete plane may not
	// know of yet.
	Receipts []IssuedReceipt
}

// IssuedReceipt names the erasure of a revocation. The athlete plane reports
// whether it is complete.
type IssuedReceipt struct {
	Receipt     string
	RequestedAt time.Time
}

// receipts returns those of pending and recently completed revocations.
func (g Grant) receipts() (issued []IssuedReceipt) {
	for _, r := range g.Revocations {
		issued = append(issued, IssuedReceipt{r.Receipt, r.RequestedAt})
	}
	for _, c := range g.Completed {
		issued = append(issued, IssuedReceipt{c.Receipt, c.RequestedAt})
	}
	return issued
}

// Status reads the state of the deployment. It is no error if the application
// is not set.
func (a *Admin) Status(ctx context.Context) (Status, error) {
	s := Status{Athletes: map[State]int{}, Capacity: a.Capacity}
	app, err := a.Vault.App(ctx, ProviderStrava)
	switch {
	case err == nil:
		s.ClientID = app.ClientID
		s.Subscription, err = a.Push.Subscription(ctx, app)
		if err != nil && !fault.Is(err, fault.NotFound) && !errors.Is(err, ErrAppRefused) {
			return Status{}, fmt.Errorf("look for the subscription: %w", err)
		}
	case !fault.Is(err, fault.NotFound):
		return Status{}, fmt.Errorf("read the registration: %w", err)
	}
	err = a.eachGrant(ctx, ProviderStrava, func(g Grant) error {
		s.Athletes[g.State]++
		if g.Authorized() {
			s.Authorized++
		}
		s.Receipts = append(s.Receipts, g.receipts()...)
		return nil
	})
	if err != nil {
		return Status{}, err
	}
	return s, nil
}
