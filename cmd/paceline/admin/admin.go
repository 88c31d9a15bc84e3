package admin

import (
	"context"
	"strings"
	"time"

	athletehandler "github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/credentials/handler"
	gathering "github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/kit/startup"
	"github.com/spf13/cobra"
)

// Command returns the "admin" command tree. It prints results as tables on
// standard output, or as JSON.
func Command() *cobra.Command {
	var t target
	root := newCommand(&adminCLI{
		invoke: t.invoke, erasures: t.erasures, gathering: t.gathering, reconcile: t.reconcile,
		stage: func() string { return t.stage }, now: time.Now, sleep: startup.Sleep,
	})
	root.PersistentFlags().StringVar(&t.stage, "stage", "local", "stage to administer")
	root.PersistentFlags().StringVar(&t.dir, "dir", ".local", "folder of the local cloud, for the stage local")
	return root
}

// adminCLI is the command line of one stage's admin function.
type adminCLI struct {
	invoke func(context.Context, handler.AdminRequest) (handler.AdminResponse, error)
	// erasures counts erasures. A receipt that the athlete plane does not know yet
	// counts as pending.
	erasures func(ctx context.Context, receipts []handler.ReceiptView) (athletehandler.ErasuresView, error)
	// gathering returns the state of gathering; nil if there is none to show.
	gathering func(context.Context) (*gathering.StatusView, error)
	// reconcile runs reconcile-grants now, which otherwise runs on a schedule.
	reconcile func(context.Context) error
	// stage returns the name of the stage.
	stage func() string
	now   func() time.Time
	// sleep waits, or returns the context's error early.
	sleep func(context.Context, time.Duration) error
	// json selects JSON instead of tables.
	json bool
}

// newCommand makes the command tree over the functions that a calls.
func newCommand(a *adminCLI) *cobra.Command {
	root := &cobra.Command{Use: "admin", Short: "Administer a stage through its admin function"}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON")
	root.AddCommand(
		group("app", "Manage the application at Strava or another provider", a.setApp()),
		group("subscription", "Manage the push subscription",
			a.ensureSubscription(),
			a.subscription("show", "Show the push subscription", handler.ActionShowSubscription),
			a.subscription("delete", "Delete the push subscription", handler.ActionDeleteSubscription)),
		a.athletes(),
		group("athlete", "Manage one athlete", a.revokeAthlete()),
		a.waitlist(),
		group("sessions", "Manage all athletes' sessions", a.endSessions()),
		a.status(),
		group("stage", "Manage the whole stage", a.clearStage()),
	)
	return root
}

func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: name, Short: short}
	g.AddCommand(commands...)
	return g
}

func (a *adminCLI) endSessions() *cobra.Command {
	return &cobra.Command{
		Use: "end", Short: "End every session of the stage", Args: cobra.NoArgs,
		Long: "End every session of the stage. Within 30 seconds each athlete has to connect again.\n" +
			"Keys stay valid, and no data is erased. If the command fails halfway, repeat it.",
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

// printCount prints a number under its name.
func (a *adminCLI) printCount(cmd *cobra.Command, name string, n int) error {
	return a.print(cmd, map[string]int{name: n}, row(strings.ToUpper(name)), row(n))
}
