package local

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// platform is what functions are built for. Its name is also the folder of dist
// that holds them.
type platform struct{ name, os, arch string }

var (
	// hostPlatform is this machine, where the emulator runs functions as processes.
	hostPlatform   = platform{name: "host", os: runtime.GOOS, arch: runtime.GOARCH}
	lambdaPlatform = platform{name: "lambda", os: "linux", arch: "arm64"}
)

// platforms are the platforms by the name that the build command takes.
var platforms = map[string]platform{hostPlatform.name: hostPlatform, lambdaPlatform.name: lambdaPlatform}

// build builds everything that is deployed (the functions for target, the CDK app
// and the site) and the stand-ins.
func (c *cloud) build(ctx context.Context, target platform) error {
	if err := c.buildGo(ctx, target); err != nil {
		return err
	}
	return c.buildSite(ctx)
}

// buildGo runs the go command only if a source has changed. The go command takes
// seconds to find that so many programs are up to date.
func (c *cloud) buildGo(ctx context.Context, target platform) error {
	root := c.settings.Root
	mains, err := filepath.Glob(filepath.Join(root, "functions/*/*/main.go"))
	if err != nil {
		return err
	}
	if len(mains) == 0 {
		return errors.New("no function found: functions/*/*/main.go is missing")
	}
	programs := []tool{goBuild("infra", "./infra"), goBuild("strava-standin", "./cmd/strava-standin"), goBuild("fitbit-standin", "./cmd/fitbit-standin")}
	for _, main := range mains {
		folder := filepath.Dir(main)
		boundary, name := filepath.Base(filepath.Dir(folder)), filepath.Base(folder)
		function := goBuild(filepath.Join(target.name, boundary, name, "bootstrap"), "./functions/"+boundary+"/"+name,
			"-tags", "lambda.norpc", "-trimpath", "-ldflags=-s -w -buildid=")
		function.log = "build-" + boundary + "-" + name
		function.env = append(c.toolEnv(), "CGO_ENABLED=0", "GOOS="+target.os, "GOARCH="+target.arch)
		programs = append(programs, function)
	}
	stamp := stampFile{path: filepath.Join(root, "dist/go-stamp"), variant: target.os + "/" + target.arch + " " + runtime.Version()}
	for _, source := range []string{"go.mod", "go.sum", "cmd/strava-standin", "cmd/fitbit-standin", "functions", "infra", "pkg", "standin"} {
		stamp.inputs = append(stamp.inputs, filepath.Join(root, source))
	}
	for _, program := range programs {
		stamp.outputs = append(stamp.outputs, filepath.Join(root, outputOf(program)))
	}
	if fresh, err := stamp.upToDate(); fresh || err != nil {
		return err
	}
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for _, program := range programs {
		group.Go(func() error { return c.exec(running, program) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return stamp.write()
}

// goBuild builds pkg into dist.
func goBuild(name, pkg string, flags ...string) tool {
	argv := append([]string{"go", "build", "-buildvcs=false", "-o", filepath.Join("dist", name)}, flags...)
	return tool{log: "build-" + name, argv: append(argv, pkg)}
}

// outputOf returns the path of the file that a goBuild makes.
func outputOf(build tool) string { return build.argv[slices.Index(build.argv, "-o")+1] }

// site is the folder of the built athlete UI.
func (c *cloud) site() string { return filepath.Join(c.settings.Root, "web/dist") }

func (c *cloud) buildSite(ctx context.Context) error {
	root := c.settings.Root
	stamp := stampFile{
		path:    filepath.Join(root, "dist/site-stamp"),
		inputs:  []string{filepath.Join(root, "web"), filepath.Join(root, "package-lock.json")},
		skip:    []string{"dist", "node_modules"},
		outputs: []string{filepath.Join(c.site(), "index.html")},
	}
	if fresh, err := stamp.upToDate(); fresh || err != nil {
		return err
	}
	if err := c.exec(ctx, tool{log: "build-site", argv: []string{"npm", "run", "build"}}); err != nil {
		return err
	}
	return stamp.write()
}
