// Command serve-links lets athletes link an account at Fitbit, shows the day's
// data of it, and unlinks it.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/metric"
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
	ports := wiring.ServeLinks(cfg, s, metrics, log)
	links := &handler.Links{
		Provider: provider.NameFitbit,
		Connect:  ports.Connect(),
		Service:  ports.Links(ports.Tokens()),
		SiteURL:  s.SiteURL,
		Cookies:  handler.CookiesOf(s.Stage),
		Log:      log,
	}
	lambda.Start(emf.Flushing(metrics, api.Mux(log, links.Routes())))
}
