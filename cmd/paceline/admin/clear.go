package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/spf13/cobra"
)

// clearPause is the time between two requests for what remains.
const clearPause = 10 * time.Second

func (a *adminCLI) clearStage() *cobra.Command {
	var name string
	var wait time.Duration
	var abandon bool
	cmd := &cobra.Command{
		Use:   "clear",
		Short: "End all authorizations, erase all data of athletes, and delete the parameters",
		Long: "Clear the stage before its stacks are destroyed: end every authorization at Strava,\n" +
			"complete the erasures, and delete the push subscription and the parameters. Athletes of\n" +
			"a stage that is not cleared stay connected at Strava and count against the\n" +
			"application's capacity.\n\n" +
			"The command takes a few minutes. It can be stopped and repeated. After --wait without\n" +
			"progress it stops and reports what remains. With --abandon it then deletes the\n" +
			"parameters anyway: the remaining athletes stay connected at Strava until they remove\n" +
			"the application in their settings there.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.confirmStage(cmd, name); err != nil {
				return err
			}
			return a.clear(cmd, wait, abandon)
		},
	}
	cmd.Flags().StringVar(&name, "stage-name", "", "the stage's name, instead of the prompt for it")
	cmd.Flags().DurationVar(&wait, "wait", 20*time.Minute, "how long to wait for progress")
	cmd.Flags().BoolVar(&abandon, "abandon", false, "delete the parameters even if authorizations could not be ended")
	return cmd
}

// confirmStage asks for the stage's name unless a flag holds it.
func (a *adminCLI) confirmStage(cmd *cobra.Command, name string) error {
	stage := a.stage()
	if name == "" {
		cmd.PrintErrf("All athletes of the stage %s will be disconnected and erased. Type its name to confirm: ", stage)
		name, _ = bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 64)).ReadString('\n')
		name = strings.TrimSpace(name)
	}
	if name != stage {
		return fmt.Errorf("the name of the stage is %s: nothing was changed", stage)
	}
	return nil
}

// cleared is the result of the command.
type cleared struct {
	Ended int `json:"ended"`
	// Abandoned is what remained when the rest was deleted.
	Abandoned    *remains `json:"abandoned,omitempty"`
	Subscription string   `json:"subscription"`
	Parameters   int      `json:"parameters"`
}

// remains is what a stage still holds of athletes.
type remains struct {
	handler.RemainingView
	// Erasures counts erasures that a boundary has not confirmed yet.
	Erasures int `json:"erasures"`
}

func (a *adminCLI) clear(cmd *cobra.Command, wait time.Duration, abandon bool) error {
	var done cleared
	left, err := a.endAll(cmd, wait, &done.Ended)
	if err != nil {
		return err
	}
	if (left != remains{}) {
		if !abandon {
			return fmt.Errorf("there was no progress for %s. What remains: %s.\n"+
				"Repeat the command to continue, or abandon the rest with --abandon; see --help", wait, describe(left))
		}
		done.Abandoned = &left
	}
	for {
		res, err := a.invoke(cmd.Context(), handler.AdminRequest{Action: handler.ActionClearStage, Abandon: abandon})
		if err != nil {
			return err
		}
		if res.Cleared == nil {
			return errOtherVersion
		}
		if done.Subscription == "" {
			done.Subscription = res.Cleared.Subscription
		}
		if res.Cleared.Parameters == 0 {
			break
		}
		done.Parameters += res.Cleared.Parameters
		cmd.PrintErrf("parameters deleted: %d\n", done.Parameters)
	}
	rows := [][]any{row("ended", fmt.Sprintf("%d authorizations", done.Ended))}
	if done.Abandoned != nil {
		rows = append(rows, row("abandoned", describe(*done.Abandoned)))
	}
	rows = append(rows, row("subscription", subscriptionEnds[credentials.ClearedSubscription(done.Subscription)]), row("parameters", fmt.Sprintf("%d deleted", done.Parameters)))
	return a.print(cmd, done, rows...)
}

// subscriptionEnds describe what happened to the push subscription.
var subscriptionEnds = map[credentials.ClearedSubscription]string{
	credentials.SubscriptionDeleted:   "deleted",
	credentials.SubscriptionNone:      "there was none",
	credentials.SubscriptionElsewhere: "kept, because it points to another host",
	credentials.SubscriptionUnknown:   "unknown, because the registration is unreadable or refused by Strava; one may remain there",
}

// endAll ends all authorizations. It returns what remains when that is nothing, or
// when there was no progress for the time wait.
func (a *adminCLI) endAll(cmd *cobra.Command, wait time.Duration, ended *int) (remains, error) {
	var last remains
	for since := a.now(); ; {
		r, n, err := a.revokeAll(cmd.Context())
		if err != nil {
			return last, err
		}
		*ended += n
		if (r == remains{}) && n == 0 {
			return r, nil
		}
		// Another failure is no progress.
		progress, before := r, last
		progress.Failing, before.Failing = 0, 0
		if n > 0 || progress != before {
			since = a.now()
		}
		if r != last || n > 0 {
			cmd.PrintErrf("remaining: %s\n", describe(r))
		}
		last = r
		if a.now().Sub(since) >= wait {
			return r, nil
		}
		if err := a.reconcile(cmd.Context()); err != nil {
			cmd.PrintErrf("reconcile-grants could not be started now and runs by itself every 5 minutes: %v\n", err)
		}
		if err := a.sleep(cmd.Context(), clearPause); err != nil {
			return r, err
		}
	}
}

// revokeAll has the admin function end authorizations. It returns what remains and
// how many the function has ended.
func (a *adminCLI) revokeAll(ctx context.Context) (r remains, ended int, err error) {
	res, err := a.invoke(ctx, handler.AdminRequest{Action: handler.ActionRevokeAll})
	if err != nil {
		return r, 0, err
	}
	if res.Remaining == nil {
		return r, 0, errOtherVersion
	}
	erasures, err := a.erasures(ctx, res.Receipts)
	if err != nil {
		return r, 0, err
	}
	return remains{*res.Remaining, erasures.Pending}, res.Ended, nil
}

// describe returns what remains as text.
func describe(r remains) string {
	text := fmt.Sprintf("%d in force, %d ending", r.InForce, r.Ending)
	if r.Failing > 0 {
		text += fmt.Sprintf(" (%d failed and are tried again)", r.Failing)
	}
	return fmt.Sprintf("%s, %d erasures pending", text, r.Erasures)
}

var errOtherVersion = errors.New("the admin function is of another version and does not support this request: deploy the version of this command, or use the command of the deployed version")
