package local

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
)

// emulator is the process name of ministack.
const emulator = "ministack"

// startEmulator starts ministack, which checks signatures, roles and policies;
// emulator.py adds conditions that it lacks. It keeps everything in memory, so
// the cloud is empty after a restart.
func (c *cloud) startEmulator(ctx context.Context) (startedNow bool, err error) {
	for _, folder := range []string{"home", "tmp"} {
		if err := os.MkdirAll(c.path(folder), 0o755); err != nil {
			return false, err
		}
	}
	env := append(c.cleanEnv(),
		"PYTHONUNBUFFERED=1",
		"GATEWAY_PORT="+strconv.Itoa(c.settings.AWSPort),
		"BIND_HOST=127.0.0.1",
		"MINISTACK_HOST=localhost", // the suffix of the HTTP API's host name
		"MINISTACK_REGION="+Region,
		"AUTH=true", // check signatures, roles and policies
		// The account's root user.
		"AWS_ACCESS_KEY_ID="+AccessKeyID,
		"AWS_SECRET_ACCESS_KEY="+SecretKey,
		"AWS_ENDPOINT_URL="+c.settings.awsLoopback(), // for the functions
		"LAMBDA_EXECUTOR=local",                      // run bootstrap binaries without Docker
		"SFTP_ENABLED=0",                             // this and the next would open fixed ports
		"IOT_MTLS_ENABLED=0",
		// INFO logs only the output of functions, and DEBUG also every request.
		"LOG_LEVEL=INFO",
	)
	// Tests may have the state written to disk at the end, and may put a proxy
	// before Parameter Store.
	for _, name := range []string{"PERSIST_STATE", "STATE_DIR", "AWS_ENDPOINT_URL_SSM"} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return c.ensure(ctx, spec{name: emulator, argv: []string{c.python(), filepath.Join(c.settings.Root, "cmd/paceline/local/emulator.py")}, env: env, port: c.settings.AWSPort},
		c.settings.awsLoopback()+"/_ministack/ready")
}
