package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	gathering "github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/startup"
	"github.com/spf13/cobra"
)

// Command returns the "admin" command tree. Answers are tables on standard
// output, or JSON.
func Command() *cobra.Command {
	var t target
	root := newCommand(&adminCLI{
		invoke: t.invoke, gathering: t.gathering, reconcile: t.reconcile,
		stage: func() string { return t.stage }, now: time.Now, sleep: startup.Sleep,
	})
	root.PersistentFlags().StringVar(&t.stage, "stage", "local", "stage to administer")
	root.PersistentFlags().StringVar(&t.dir, "dir", ".local", "for the stage local: folder of the local cloud")
	return root
}

// adminCLI is the command line of one admin function.
type adminCLI struct {
	invoke func(context.Context, handler.AdminRequest) (handler.AdminResponse, error)
	// gathering asks how gathering stands; nil when there is nothing to tell.
	gathering func(context.Context) (*gathering.StatusView, error)
	// reconcile has the pending tasks of grants done now.
	reconcile func(context.Context) error
	// stage is the name of the stage that is administered.
	stage func() string
	now   func() time.Time
	// sleep waits, or returns early with the context's error.
	sleep func(context.Context, time.Duration) error
	// json asks for JSON in place of tables.
	json bool
}

// newCommand makes the command tree over the functions that a calls.
func newCommand(a *adminCLI) *cobra.Command {
	root := &cobra.Command{Use: "admin", Short: "Administer a stage by its admin function"}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "answer in JSON")
	root.AddCommand(
		group("app", "The application at Strava or another provider", a.setApp()),
		group("subscription", "The push subscription",
			a.ensureSubscription(),
			a.subscription("show", "Show the push subscription", handler.ActionShowSubscription),
			a.subscription("delete", "Delete the push subscription", handler.ActionDeleteSubscription)),
		a.athletes(),
		group("athlete", "One athlete", a.revokeAthlete()),
		a.waitlist(),
		group("sessions", "All athletes' sessions", a.endSessions()),
		a.status(),
		group("stage", "The whole stage", a.clearStage()),
	)
	return root
}

func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: name, Short: short}
	g.AddCommand(commands...)
	return g
}

func (a *adminCLI) setApp() *cobra.Command {
	var provider, clientID string
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Set an application's credentials, read from standard input",
		Long: "Set the client id and secret of the application at a provider.\n\n" +
			"Standard input: the client secret on the first line and, for Strava if you want to\n" +
			"choose it yourself, the callback verify token on the second. Neither is ever an\n" +
			"argument: arguments show in process lists and shell histories.\n\n" +
			"To change the secret, make a new one at the provider and set it here at once: no\n" +
			"athlete has to connect again.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clientSecret, verifyToken, err := readSecrets(cmd.InOrStdin())
			if err != nil {
				return err
			}
			res, err := a.invoke(cmd.Context(), handler.AdminRequest{
				Action: handler.ActionSetApp, Provider: provider, ClientID: clientID, ClientSecret: clientSecret, VerifyToken: verifyToken,
			})
			if err == nil && res.Replaced {
				cmd.PrintErrln("The registration could not be read any more and was replaced. The callback URL is\n" +
					"another one now: run `paceline admin subscription ensure`.")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&provider, "provider", "strava", "where the application is registered")
	cmd.Flags().StringVar(&clientID, "client-id", "", "the application's client id; Strava's is a number")
	_ = cmd.MarkFlagRequired("client-id")
	return cmd
}

// readSecrets reads the client secret and, from a second line if there is one,
// the verify token.
func readSecrets(in io.Reader) (clientSecret, verifyToken string, err error) {
	if f, ok := in.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprintln(os.Stderr, "Type the client secret and press Enter, then Ctrl-D:")
		}
	}
	lines := bufio.NewScanner(io.LimitReader(in, 4096))
	var read []string
	for lines.Scan() {
		read = append(read, strings.TrimSpace(lines.Text()))
	}
	if err := lines.Err(); err != nil {
		return "", "", fmt.Errorf("read the client secret: %w", err)
	}
	read = append(read, "", "")
	if read[0] == "" {
		return "", "", errors.New("the client secret is missing: give it on standard input")
	}
	return read[0], read[1], nil
}

func (a *adminCLI) ensureSubscription() *cobra.Command {
	var replace bool
	cmd := &cobra.Command{
		Use: "ensure", Short: "Make Strava push events to this stage", Args: cobra.NoArgs,
		Long: "Make Strava push events to this stage. A Strava application has one push subscription.\n\n" +
			"If it points to another host, which may be another stage's, nothing is changed and the\n" +
			"error names the host; --replace takes the subscription over.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.printSubscription(cmd, handler.AdminRequest{Action: handler.ActionEnsureSubscription, Replace: replace})
		},
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "take over a subscription that points to another host")
	return cmd
}

func (a *adminCLI) subscription(name, short, action string) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return a.printSubscription(cmd, handler.AdminRequest{Action: action})
	}}
}

// printSubscription carries out an action and prints the subscription it
// answers with, if it does.
func (a *adminCLI) printSubscription(cmd *cobra.Command, req handler.AdminRequest) error {
	res, err := a.invoke(cmd.Context(), req)
	if err != nil || res.Subscription == nil {
		return err
	}
	s := res.Subscription
	return a.print(cmd, s, row("ID", "CALLBACK"), row(s.ID, s.CallbackURL))
}

func (a *adminCLI) athletes() *cobra.Command {
	var provider, cursor, idle string
	var limit int
	cmd := &cobra.Command{
		Use:   "athletes",
		Short: "List the accounts that granted access, a page at a time, or those that are idle",
		Long: "List the accounts of one provider that granted access, a page at a time.\n\n" +
			"With --idle all who take up a place and have not signed in for so long, at least 30\n" +
			"days. A session in use lasts 30 days, so an athlete who uses the site signs in every\n" +
			"30 days; the time of the last visit is known to that.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if idle != "" {
				return a.idleAthletes(cmd, provider, idle)
			}
			res, err := a.invoke(cmd.Context(), handler.AdminRequest{Action: handler.ActionAthletes, Provider: provider, Cursor: cursor, Limit: limit})
			if err != nil {
				return err
			}
			if err := a.printAthletes(cmd, res.Athletes, res.NextCursor); err != nil {
				return err
			}
			if res.NextCursor != "" && !a.json {
				cmd.PrintErrf("There are more: go on with --cursor %s\n", res.NextCursor)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&provider, "provider", "strava", "whose accounts to list")
	cmd.Flags().StringVar(&cursor, "cursor", "", "next_cursor of the page before")
	cmd.Flags().IntVar(&limit, "limit", 50, "athletes a page, at most 200")
	cmd.Flags().StringVar(&idle, "idle", "", "only those who have not signed in for so many days, such as 90d")
	cmd.MarkFlagsMutuallyExclusive("idle", "cursor")
	cmd.MarkFlagsMutuallyExclusive("idle", "limit")
	return cmd
}

// idleAthletes lists all who are idle: few grants of a page are, so pages would
// be of little use.
func (a *adminCLI) idleAthletes(cmd *cobra.Command, provider, idle string) error {
	days, err := strconv.ParseUint(strings.TrimSuffix(idle, "d"), 10, 16)
	if err != nil || days == 0 {
		return fmt.Errorf("--idle is a number of days such as 90d, not %q", idle)
	}
	all := []handler.AthleteView{}
	for req := (handler.AdminRequest{Action: handler.ActionAthletes, Provider: provider, Limit: 200, IdleDays: int(days)}); ; {
		res, err := a.invoke(cmd.Context(), req)
		if err != nil {
			return err
		}
		all = append(all, res.Athletes...)
		if req.Cursor = res.NextCursor; req.Cursor == "" {
			return a.printAthletes(cmd, all, "")
		}
	}
}

func (a *adminCLI) printAthletes(cmd *cobra.Command, athletes []handler.AthleteView, nextCursor string) error {
	page := struct {
		Athletes   []handler.AthleteView `json:"athletes"`
		NextCursor *string               `json:"next_cursor"`
	}{Athletes: athletes}
	if nextCursor != "" {
		page.NextCursor = &nextCursor
	}
	rows := [][]any{row("ACCOUNT", "PROVIDER", "STATE", "SIGNED IN", "SCOPES")}
	for _, v := range athletes {
		rows = append(rows, row(v.AccountID, v.Provider, v.State, v.SignedInAt.Format(time.DateOnly), strings.Join(v.Scopes, " ")))
	}
	return a.print(cmd, page, rows...)
}

func (a *adminCLI) revokeAthlete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "End an athlete's authorization, which frees a place",
		Long: "End an athlete's authorization: it is revoked at Strava, and everything held on the\n" +
			"athlete is erased. The place is free when Strava has been told, which takes a few\n" +
			"minutes. The receipt proves the erasure to the athlete.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id <= 0 {
				return fmt.Errorf("%q is no athlete's id, which is a positive number", args[0])
			}
			if !yes {
				cmd.PrintErrf("Everything held on athlete %d will be erased. Type the id once more to go on: ", id)
				answer, _ := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 64)).ReadString('\n')
				if strings.TrimSpace(answer) != args[0] {
					return errors.New("that is not the id: nothing was done")
				}
			}
			res, err := a.invoke(cmd.Context(), handler.AdminRequest{Action: handler.ActionRevokeAthlete, AthleteID: id})
			if err != nil {
				return err
			}
			revoked := struct {
				AthleteID int64  `json:"athlete_id"`
				Receipt   string `json:"receipt"`
			}{id, res.Receipt}
			return a.print(cmd, revoked, row("ATHLETE", "RECEIPT"), row(id, res.Receipt))
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "don't ask")
	return cmd
}

func (a *adminCLI) waitlist() *cobra.Command {
	cmd := &cobra.Command{
		Use: "waitlist", Short: "List who waits for a place, in the order they came", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := a.invoke(cmd.Context(), handler.AdminRequest{Action: handler.ActionWaitlist})
			if err != nil {
				return err
			}
			list := struct {
				Waiting []handler.WaitingView `json:"waiting"`
			}{append([]handler.WaitingView{}, res.Waiting...)}
			rows := [][]any{row("SINCE", "CONTACT")}
			for _, w := range res.Waiting {
				rows = append(rows, row(w.Since.Format(time.DateOnly), w.Contact))
			}
			return a.print(cmd, list, rows...)
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use: "remove CONTACT", Short: "Forget a contact", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := a.invoke(cmd.Context(), handler.AdminRequest{Action: handler.ActionRemoveWaiting, Contact: args[0]})
			return err
		},
	}, &cobra.Command{
		Use: "clear", Short: "Forget all contacts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := a.invoke(cmd.Context(), handler.AdminRequest{Action: handler.ActionClearWaiting})
			if err != nil {
				return err
			}
			return a.printCount(cmd, "forgotten", res.Ended)
		},
	})
	return cmd
}

func (a *adminCLI) endSessions() *cobra.Command {
	return &cobra.Command{
		Use: "end", Short: "End every session of the stage", Args: cobra.NoArgs,
		Long: "End every session of the stage. Each athlete has to connect again, within 30 seconds;\n" +
			"nothing is erased, and keys stay. Repeat the command if it fails halfway.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ended := 0
			for req := (handler.AdminRequest{Action: handler.ActionEndSessions}); ; {
				res, err := a.invoke(cmd.Context(), req)
				if err != nil {
					return err
				}
				ended += res.Ended
				if req.Cursor = res.NextCursor; req.Cursor == "" {
					return a.printCount(cmd, "ended", ended)
				}
			}
		},
	}
}

// printCount prints how many of something there were.
func (a *adminCLI) printCount(cmd *cobra.Command, what string, n int) error {
	return a.print(cmd, map[string]int{what: n}, row(strings.ToUpper(what)), row(n))
}

func (a *adminCLI) status() *cobra.Command {
	return &cobra.Command{Use: "status", Short: "Show the stage at a glance", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		res, err := a.invoke(cmd.Context(), handler.AdminRequest{Action: handler.ActionStatus})
		if err != nil {
			return err
		}
		if res.Status == nil {
			return errOtherVersion
		}
		g, err := a.gathering(cmd.Context())
		if err != nil {
			return err
		}
		return a.print(cmd, struct {
			*handler.StatusView
			Gathering *gathering.StatusView `json:"gathering,omitempty"`
		}{res.Status, g}, append(statusRows(*res.Status), gatheringRows(g)...)...)
	}}
}

func statusRows(s handler.StatusView) [][]any {
	app, subscription := "not set", "none"
	if s.ClientID != "" {
		app = "client " + s.ClientID
	}
	if s.Subscription != nil {
		// Without the callback URL, whose last segment is secret: a status is
		// something that people show each other.
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
	e := s.Erasures
	return append(rows, row("erasures", fmt.Sprintf("%d pending, %d overdue, %d completed in 7 days", e.Pending, e.Overdue, e.Completed)))
}

// gatheringRows tell how gathering stands.
func gatheringRows(g *gathering.StatusView) [][]any {
	if g == nil {
		return nil
	}
	clock := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
	window := func(w gathering.WindowView) string {
		return fmt.Sprintf("%d of %d used, resets %s", w.Used, w.Limit, clock(w.Resets))
	}
	rows := [][]any{row("calls, quarter hour", window(g.Quarter)), row("calls, day", window(g.Day))}
	if g.RateLimited > 0 {
		rows = append(rows, row("refused today", fmt.Sprintf("%d for the rate limit", g.RateLimited)))
	}
	if g.OthersSeen != nil {
		rows = append(rows, row("others spend", "last seen "+clock(*g.OthersSeen)))
	}
	if p := g.Paused; p != nil {
		rows = append(rows, row("paused", fmt.Sprintf("for %s until %s", p.For, clock(p.Until))))
	}
	if g.PausedSince != nil {
		rows = append(rows, row("no answer", "Strava has answered no call since "+clock(*g.PausedSince)))
	}
	if g.PausesToday > 0 {
		rows = append(rows, row("pauses today", fmt.Sprint(g.PausesToday)))
	}
	for _, class := range quota.Classes {
		c := g.Classes[string(class)]
		text := fmt.Sprintf("%d waiting", c.Waiting)
		if c.WaitingSince != nil {
			text += " since " + clock(*c.WaitingSince)
		}
		if c.Refused {
			text += ", for the quota"
		}
		text += fmt.Sprintf("; %d calls today, %d yesterday", c.CallsToday, c.CallsYesterday)
		if c.ReserveQuarter > 0 || c.ReserveDay > 0 {
			text += fmt.Sprintf("; %.0f kept in the quarter hour, %.0f in the day", c.ReserveQuarter, c.ReserveDay)
		}
		rows = append(rows, row("  "+string(class), text))
	}
	rows = append(rows, row("events in", fmt.Sprintf("%d today, %d yesterday", g.Webhook.EventsToday, g.Webhook.EventsYesterday)))
	if seen := g.Webhook.LastSeen; seen != nil {
		rows = append(rows, row("webhooks", "last seen "+clock(*seen)))
	}
	if h := g.Webhook.Callback; h != nil {
		rows = append(rows, row("  callback", "last well "+clock(h.WellAt)))
		if h.FailingSince != nil {
			rows = append(rows, row("", fmt.Sprintf("failing since %s: %s", clock(*h.FailingSince), h.Failure)))
		}
	}
	if h := g.Webhook.Subscription; h != nil {
		rows = append(rows, row("  subscription", "last well "+clock(h.WellAt)))
		if h.FailingSince != nil {
			rows = append(rows, row("", subscriptionFailure(h.Failure)))
		}
	}
	if gap := g.Webhook.Gap; gap != nil {
		rows = append(rows, row("gap in webhooks", fmt.Sprintf("%s to %s", clock(gap.From), clock(gap.To))))
	}
	return rows
}

// subscriptionFailure says what is wrong with the push subscription, and what
// to do.
func subscriptionFailure(failure string) string {
	const ensure = "run `paceline admin subscription ensure`"
	switch failure {
	case credentialsv1.SubscriptionMissing:
		return "the push subscription is missing at Strava; " + ensure
	case credentialsv1.SubscriptionElsewhere:
		return "Strava pushes this application's events to another callback URL; " + ensure + ", which names the host"
	}
	return "Strava's push subscription was replaced behind our back; " + ensure
}
