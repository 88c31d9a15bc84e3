// Command administer-app is the admin function. It has no public route; IAM
// decides who may invoke it.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/kit/startup"
)

func main() {
	var s settings.AdministerApp
	cfg, log := startup.Load(context.Background(), &s)
	admin := &handler.Admin{Service: wiring.Admin(cfg, s, log).Admin(), Log: log}
	lambda.Start(func(ctx context.Context, req handler.AdminRequest) (handler.AdminResponse, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		return admin.Handle(ctx, req)
	})
}
