// Command serve-links lets athletes link an account at Fitbit, shows what it can
// read there, and unlinks it.
package main

import (
	"context"
	"os"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/fitbit"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ServeLinks
	cfg, log := startup.Load(context.Background(), &s)
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	table := wiring.Table(cfg, s.GrantsTable)
	requester := wiring.LinkRequester(cfg, s.UseLinks, table, metrics, log)
	reconciler := wiring.LinkReconciler(requester, table)
	reconciler.Connect.RedirectURI = s.SiteURL + "/oauth/" + provider.NameFitbit + "/callback"
	links := &handler.Links{
		Provider: provider.NameFitbit,
		Connect:  reconciler.Connect,
		Service: &credentials.Links{
			Reconciler: reconciler, Requester: requester, ReadToday: fitbit.ReadToday, NewSecret: startup.NewSecret,
		},
		SiteURL: s.SiteURL,
		Cookies: handler.CookiesOf(s.Stage),
		Log:     log,
	}
	lambda.Start(emf.Flushing(metrics, api.Mux(log, links.Routes())))
}
