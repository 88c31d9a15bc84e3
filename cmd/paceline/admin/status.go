package admin

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	athletehandler "github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	gathering "github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/spf13/cobra"
)

func (a *adminCLI) status() *cobra.Command {
	return &cobra.Command{Use: "status", Short: "Show the state of the stage", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		res, err := a.invoke(cmd.Context(), handler.AdminRequest{Action: handler.ActionStatus})
		if err != nil {
			return err
		}
		if res.Status == nil {
			return errOtherVersion
		}
		erasures, err := a.erasures(cmd.Context(), res.Receipts)
		if err != nil {
			return err
		}
		g, err := a.gathering(cmd.Context())
		if err != nil {
			return err
		}
		return a.print(cmd, struct {
			*handler.StatusView
			Erasures  athletehandler.ErasuresView `json:"erasures"`
			Gathering *gathering.StatusView       `json:"gathering,omitempty"`
		}{res.Status, erasures, g}, append(statusRows(*res.Status, erasures), gatheringRows(g)...)...)
	}}
}

func statusRows(s handler.StatusView, e athletehandler.ErasuresView) [][]any {
	app, subscription := "not set", "none"
	if s.ClientID != "" {
		app = "client " + s.ClientID
	}
	if s.Subscription != nil {
		// Without the callback URL, whose last segment is secret: people share the
		// output of status.
		subscription = strconv.FormatInt(s.Subscription.ID, 10)
	}
	rows := [][]any{
		row("application", app),
		row("subscription", subscription),
		row("athletes", fmt.Sprintf("%d of %d authorized", s.Authorized, s.Capacity)),
	}
	for _, state := range slices.Sorted(maps.Keys(s.Athletes)) {
		rows = append(rows, row("  "+state, s.Athletes[state]))
	}
	return append(rows, row("erasures", fmt.Sprintf("%d pending, %d overdue, %d completed in 7 days", e.Pending, e.Overdue, e.Completed)))
}

// gatheringRows shows the state of gathering.
func gatheringRows(g *gathering.StatusView) [][]any {
	if g == nil {
		return nil
	}
	rows := callRows(g)
	for _, class := range quota.Classes {
		rows = append(rows, classRow(string(class), g.Classes[string(class)]))
	}
	return append(rows, webhookRows(g.Webhook)...)
}

// callRows shows how Strava's limits are used, and pauses.
func callRows(g *gathering.StatusView) [][]any {
	rows := [][]any{row("calls, quarter hour", windowText(g.Quarter)), row("calls, day", windowText(g.Day))}
	if g.RateLimited > 0 {
		rows = append(rows, row("refused today", fmt.Sprintf("%d for the rate limit", g.RateLimited)))
	}
	if g.ExternalUsageAt != nil {
		rows = append(rows, row("other clients", "last seen "+timeText(*g.ExternalUsageAt)))
	}
	if p := g.Paused; p != nil {
		rows = append(rows, row("paused", fmt.Sprintf("for %s until %s", p.Reason, timeText(p.Until))))
	}
	if g.PausedSince != nil {
		rows = append(rows, row("no answer", "Strava has answered no call since "+timeText(*g.PausedSince)))
	}
	if g.PausesToday > 0 {
		rows = append(rows, row("pauses today", fmt.Sprint(g.PausesToday)))
	}
	return rows
}

// classRow shows a class of work: its queued jobs, its calls and its reserves.
func classRow(class string, c gathering.ClassView) []any {
	text := fmt.Sprintf("%d waiting", c.Waiting)
	if c.WaitingSince != nil {
		text += " since " + timeText(*c.WaitingSince)
	}
	if c.Refused {
		text += ", for the quota"
	}
	text += fmt.Sprintf("; %d calls today, %d yesterday", c.CallsToday, c.CallsYesterday)
	if c.ReserveQuarter > 0 || c.ReserveDay > 0 {
		text += fmt.Sprintf("; %.0f reserved in the quarter hour, %.0f in the day", c.ReserveQuarter, c.ReserveDay)
	}
	return row("  "+class, text)
}

func webhookRows(w gathering.WebhookView) [][]any {
	rows := [][]any{row("webhook events", fmt.Sprintf("%d today, %d yesterday", w.EventsToday, w.EventsYesterday))}
	if w.LastSeen != nil {
		rows = append(rows, row("webhooks", "last seen "+timeText(*w.LastSeen)))
	}
	if h := w.Callback; h != nil {
		rows = append(rows, row("  callback", "last well "+timeText(h.HealthyAt)))
		if h.FailingSince != nil {
			rows = append(rows, row("", fmt.Sprintf("failing since %s: %s", timeText(*h.FailingSince), h.Failure)))
		}
	}
	if h := w.Subscription; h != nil {
		rows = append(rows, row("  subscription", "last well "+timeText(h.HealthyAt)))
		if h.FailingSince != nil {
			rows = append(rows, row("", subscriptionFailure(h.Failure)))
		}
	}
	if w.Gap != nil {
		rows = append(rows, row("gap in webhooks", fmt.Sprintf("%s to %s", timeText(w.Gap.From), timeText(w.Gap.To))))
	}
	return rows
}

func timeText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func windowText(w gathering.WindowView) string {
	return fmt.Sprintf("%d of %d used, resets %s", w.Used, w.Limit, timeText(w.Resets))
}

// subscriptionFailure describes a failure of the push subscription and the
// remedy.
func subscriptionFailure(failure string) string {
	const ensure = "run `paceline admin subscription ensure`"
	switch failure {
	case credentialsv1.SubscriptionMissing:
		return "the push subscription is missing at Strava; " + ensure
	case credentialsv1.SubscriptionElsewhere:
		return "Strava pushes this application's events to another callback URL; " + ensure + ", which names the host"
	}
	return "the push subscription was replaced by another program; " + ensure
}
