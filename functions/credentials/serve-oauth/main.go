// Command serve-oauth leads athletes through OAuth and ends their session.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/metric"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.ServeOAuth
	cfg, log := startup.Load(context.Background(), &s)
	metrics := emf.New(os.Stdout, time.Now, metric.Namespace, s.Stage)
	ports := wiring.ServeOAuth(cfg, s, metrics, log)
	connect := ports.Connect()
	oauth := &handler.OAuth{
		Connect:       connect,
		Sessions:      ports.Sessions(),
		Authenticator: ports.Authenticator(),
		Waitlist:      ports.Waitlist(connect.Capacity),
		SiteURL:       s.SiteURL,
		Cookies:       handler.CookiesOf(s.Stage),
		Log:           log,
	}
	lambda.Start(emf.Flushing(metrics, api.Mux(log, oauth.Routes())))
}
