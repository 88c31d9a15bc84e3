package admin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/spf13/cobra"
)

// clearPause is the wait between two looks at what remains.
const clearPause = 10 * time.Second

func (a *adminCLI) clearStage() *cobra.Command {
	var name string
	var wait time.Duration
	var abandon bool
	cmd := &cobra.Command{
		Use:   "clear",
		Short: "End all authorizations, erase everything held on athletes, and delete what was made at run time",
		Long: "Clear the stage before its stacks are destroyed: end every authorization at Strava, see\n" +
			"the erasures through, and delete the push subscription and the parameters. Without it\n" +
			"the athletes stay connected at Strava and count against the application's capacity.\n\n" +
			"It takes a few minutes and can be stopped and repeated. It gives up when there was no\n" +
			"progress for --wait, and reports what remains. With --abandon it then deletes the\n" +
			"rest all the same: the athletes concerned stay connected at Strava until they remove\n" +
			"the application in their settings there.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.confirmStage(cmd, name); err != nil {
				return err
			}
			return a.clear(cmd, wait, abandon)
		},
	}
	cmd.Flags().StringVar(&name, "stage-name", "", "the stage's name once more, to not be asked for it")
	cmd.Flags().DurationVar(&wait, "wait", 20*time.Minute, "how long to wait without progress")
	cmd.Flags().BoolVar(&abandon, "abandon", false, "give up authorizations that could not be ended")
	return cmd
}

// confirmStage has the stage's name typed unless the flag has it.
func (a *adminCLI) confirmStage(cmd *cobra.Command, name string) error {
	stage := a.stage()
	if name == "" {
		cmd.PrintErrf("All athletes of the stage %s will be disconnected and erased. Type its name to go on: ", stage)
		name, _ = bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 64)).ReadString('\n')
		name = strings.TrimSpace(name)
	}
	if name != stage {
		return fmt.Errorf("that is not the name of the stage, which is %s: nothing was done", stage)
	}
	return nil
}

// cleared is what the command reports in the end.
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
	// Erasures counts those that a boundary is yet to confirm.
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
				"Repeat the command to go on, or give the rest up with --abandon; see its --help", wait, describe(left))
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
		rows = append(rows, row("given up", describe(*done.Abandoned)))
	}
	rows = append(rows, row("subscription", subscriptionEnds[credentials.ClearedSubscription(done.Subscription)]), row("parameters", fmt.Sprintf("%d deleted", done.Parameters)))
	return a.print(cmd, done, rows...)
}

// subscriptionEnds say what became of the push subscription.
var subscriptionEnds = map[credentials.ClearedSubscription]string{
	credentials.SubscriptionDeleted:   "deleted",
	credentials.SubscriptionNone:      "there was none",
	credentials.SubscriptionElsewhere: "left alone, for it points to another host",
	credentials.SubscriptionUnknown:   "unknown, for the registration is unreadable or refused by Strava; one may be left there",
}

// endAll ends all authorizations and waits until nothing remains, or there was
// no progress for so long.
func (a *adminCLI) endAll(cmd *cobra.Command, wait time.Duration, ended *int) (remains, error) {
	var last remains
	for since := a.now(); ; {
		res, err := a.invoke(cmd.Context(), handler.AdminRequest{Action: handler.ActionRevokeAll})
		if err != nil {
			return last, err
		}
		if res.Remaining == nil {
			return last, errOtherVersion
		}
		*ended += res.Ended
		erasures, err := a.erasures(cmd.Context(), res.Receipts)
		if err != nil {
			return last, err
		}
		r := remains{*res.Remaining, erasures.Pending}
		if (r == remains{}) && res.Ended == 0 {
			return r, nil
		}
		// A failure more is no progress.
		progress, before := r, last
		progress.Failing, before.Failing = 0, 0
		if res.Ended > 0 || progress != before {
			since = a.now()
		}
		if r != last || res.Ended > 0 {
			cmd.PrintErrf("remaining: %s\n", describe(r))
		}
		last = r
		if a.now().Sub(since) >= wait {
			return r, nil
		}
		if err := a.reconcile(cmd.Context()); err != nil {
			cmd.PrintErrf("this waits for the next run of reconcile-grants, every 5 minutes: %v\n", err)
		}
		if err := a.sleep(cmd.Context(), clearPause); err != nil {
			return r, err
		}
	}
}

// describe says what remains.
func describe(r remains) string {
	text := fmt.Sprintf("%d in force, %d ending", r.InForce, r.Ending)
	if r.Failing > 0 {
		text += fmt.Sprintf(" (%d failed and are tried again)", r.Failing)
	}
	return fmt.Sprintf("%s, %d erasures pending", text, r.Erasures)
}

var errOtherVersion = errors.New("the admin function gave no answer to that: is it of another version?")
