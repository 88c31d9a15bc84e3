package sim

import (
	"context"
	"time"

	athletehandler "github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/credentials/handler"
)

// closer is the actor that clears the stage in the last storm, in which no
// other acts.
const closer = "closer"

// clearStage ends all authorizations and deletes the parameters, as the admin's
// command `stage clear` does.
func (a *actor) clearStage() {
	for a.w.acting() && !a.allEnded() {
		a.w.k.pause(time.Minute)
	}
	for a.w.acting() {
		res, err := a.command(handler.AdminRequest{Action: handler.ActionClearStage})
		if err == nil && res.Cleared.Parameters == 0 {
			break
		}
		a.w.k.pause(time.Minute)
	}
	a.w.closed = a.w.acting()
	_, _ = a.command(handler.AdminRequest{Action: handler.ActionClearWaitlist}) // The story has the error.
}

// allEnded ends authorizations, and reports whether none is left and all
// erasures are complete.
func (a *actor) allEnded() bool {
	res, err := a.command(handler.AdminRequest{Action: handler.ActionRevokeAll})
	if err != nil {
		return false
	}
	var req athletehandler.CountErasuresRequest
	for _, r := range res.Receipts {
		req.Receipts = append(req.Receipts, athletehandler.ReceiptView(r))
	}
	erasures, err := a.countErasures(req)
	return err == nil && res.Ended == 0 && *res.Remaining == handler.RemainingView{} && erasures.Pending == 0
}

// countErasures asks the athlete plane how many erasures are pending.
func (a *actor) countErasures(req athletehandler.CountErasuresRequest) (view athletehandler.ErasuresView, _ error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := a.w.invoke(ctx, "athlete/count-erasures", req)
	if err == nil {
		view = out.(athletehandler.ErasuresView)
	}
	return view, err
}
