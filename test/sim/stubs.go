package sim

import (
	"context"
	"math/rand/v2"
	"strconv"

	"github.com/paceline/paceline/pkg/credentials/handler"
)

func (w *world) inspect(string, []byte)   {}
func (w *world) checkAtRest()             {}
func (w *world) checkHourly()             {}
func (w *world) settle()                  {}
func (w *world) startActors()             {}
func drawActors(*rand.Rand, int) []string { return nil }

func (w *world) setUp() {
	id, key := w.strava.Client()
	_ = id
	for _, req := range []handler.AdminRequest{
		{Action: handler.ActionSetApp, ClientID: "0", ClientSecret: key},
		{Action: handler.ActionEnsureSubscription},
	} {
		if req.ClientID != "" {
			req.ClientID = strconv.FormatInt(id, 10)
		}
		for {
			_, err := w.invoke(context.Background(), "credentials/administer-app", req)
			if err == nil {
				break
			}
			w.story.action("admin: %v", err)
			w.k.pause(10e9)
		}
	}
}
