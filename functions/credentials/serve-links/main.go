// Command serve-links lets athletes link an account at Fitbit, shows what it can
// read there, and unlinks it.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/fitbit"
	"github.com/paceline/paceline/pkg/credentials/lambdain"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/httpapi"
	"github.com/paceline/paceline/pkg/kit/obs"
)

func main() {
	var s settings.ServeLinks
	cfg, log := boot.Load(context.Background(), &s)
	metrics := obs.NewMetrics(os.Stdout, time.Now, settings.MetricNamespace, s.Stage, "serve-links")
	table := wiring.Table(cfg, s.GrantsTable)
	requester := wiring.LinkRequester(cfg, s.UseLinks, table, metrics, log)
	reconciler := wiring.LinkReconciler(requester, table)
	reconciler.Connect.RedirectURI = s.SiteURL + "/oauth/" + provider.NameFitbit + "/callback"
	links := &lambdain.Links{
		Provider: provider.NameFitbit,
		Connect:  reconciler.Connect,
		Service: &credentials.Links{
			Reconciler: reconciler, Requester: requester, ReadToday: fitbit.ReadToday, NewSecret: boot.NewSecret,
		},
		SiteURL: s.SiteURL,
		Cookies: lambdain.CookiesOf(s.Stage),
		Log:     log,
	}
	lambda.Start(obs.Flushing(metrics, httpapi.Mux(log, links.Routes())))
}
