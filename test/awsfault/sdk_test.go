package awsfault_test

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/paceline/paceline/pkg/kit/startup"
	"github.com/paceline/paceline/test/awsfault"
)

// sdkAttempts is the SDK's default for attempts at a call.
const sdkAttempts = retry.DefaultMaxAttempts

// operation is a call of the SDK to a service.
type operation struct {
	service, name string
	// answer is the response of the fake service.
	answer string
	call   func(context.Context, aws.Config) error
	// throttled is the code of the service's throttling error. isThrottled
	// reports whether an error has the SDK's type for it.
	throttled   string
	isThrottled func(error) bool
}

var operations = []operation{{
	service: "ssm", name: "PutParameter", answer: `{"Version":1}`,
	call: func(ctx context.Context, cfg aws.Config) error {
		_, err := ssm.NewFromConfig(cfg).PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("/a"), Value: aws.String("v")})
		return err
	},
	throttled: "ThrottlingException", isThrottled: is[*ssmtypes.ThrottlingException],
}, {
	service: "dynamodb", name: "GetItem", answer: `{}`,
	call: func(ctx context.Context, cfg aws.Config) error {
		_, err := dynamodb.NewFromConfig(cfg).GetItem(ctx, &dynamodb.GetItemInput{
			TableName: aws.String("t"), Key: map[string]dynamodbtypes.AttributeValue{"pk": &dynamodbtypes.AttributeValueMemberS{Value: "a"}},
		})
		return err
	},
	throttled: "ProvisionedThroughputExceededException", isThrottled: is[*dynamodbtypes.ProvisionedThroughputExceededException],
}, {
	service: "kms", name: "GenerateDataKey", answer: `{"KeyId":"k"}`,
	call: func(ctx context.Context, cfg aws.Config) error {
		_, err := kms.NewFromConfig(cfg).GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: aws.String("k"), KeySpec: kmstypes.DataKeySpecAes256})
		return err
	},
	throttled: "ThrottlingException", isThrottled: hasCode("ThrottlingException"), // KMS has no type for it
}, {
	service: "lambda", name: "POST /2015-03-31/functions/f/invocations", answer: `{}`,
	call: func(ctx context.Context, cfg aws.Config) error {
		_, err := lambda.NewFromConfig(cfg).Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("f")})
		return err
	},
	throttled: "TooManyRequestsException", isThrottled: is[*lambdatypes.TooManyRequestsException],
}, {
	service: "cloudformation", name: "CancelUpdateStack",
	answer: `<CancelUpdateStackResponse><CancelUpdateStackResult/></CancelUpdateStackResponse>`,
	call: func(ctx context.Context, cfg aws.Config) error {
		_, err := cloudformation.NewFromConfig(cfg).CancelUpdateStack(ctx, &cloudformation.CancelUpdateStackInput{
			StackName: aws.String("s"), ClientRequestToken: aws.String("t"),
		})
		return err
	},
	throttled: "Throttling", isThrottled: hasCode("Throttling"), // the common error of query services
}}

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func hasCode(code string) func(error) bool {
	return func(err error) bool {
		var e smithy.APIError
		return errors.As(err, &e) && e.ErrorCode() == code
	}
}

// sdk is one operation of the SDK through a proxy in front of a fake service.
type sdk struct {
	*service
	operation
	config aws.Config
}

func newSDK(t *testing.T, cfg aws.Config, op operation) *sdk {
	s := newService(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(op.answer))), 10))
		_, _ = io.WriteString(w, op.answer)
	})
	cfg.BaseEndpoint = aws.String(s.server.URL)
	cfg.Logger = logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
		t.Errorf("the SDK logged: "+format, v...)
	})
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
	}
	return &sdk{s, op, cfg}
}

// mustHave checks how many attempts had the fault, passed, and arrived.
func (s *sdk) mustHave(t *testing.T, fault awsfault.Fault, met, passed, arrived int) {
	t.Helper()
	counts := s.Counts()
	gotMet := counts[awsfault.Count{Service: s.operation.service, Operation: s.name, Fault: fault}]
	gotPassed := counts[awsfault.Count{Service: s.operation.service, Operation: s.name}]
	if gotMet != met || gotPassed != passed || len(s.arrived) != arrived {
		t.Errorf("%d attempts had the fault, %d passed, %d arrived, want %d, %d, %d; counts %v",
			gotMet, gotPassed, len(s.arrived), met, passed, arrived, counts)
	}
}

// TestTheSDKReportsTheFault checks, for each protocol, that the SDK decodes a
// refusal to the service's own error, retries as it does at AWS, and stops at its
// timeout.
func TestTheSDKReportsTheFault(t *testing.T) {
	cases := map[string]func(*testing.T, *sdk){
		"throttled every time": func(t *testing.T, s *sdk) {
			fault := awsfault.Refuse(s.throttled)
			s.Add(awsfault.Rule{Fault: fault})
			if err := s.operation.call(t.Context(), s.config); !s.isThrottled(err) {
				t.Errorf("%v", err)
			}
			s.mustHave(t, fault, sdkAttempts, 0, 0)
		},
		"throttled twice": func(t *testing.T, s *sdk) {
			fault := awsfault.Refuse(s.throttled)
			s.Add(awsfault.Rule{Fault: fault, When: awsfault.First(2)})
			if err := s.operation.call(t.Context(), s.config); err != nil {
				t.Errorf("%v", err)
			}
			s.mustHave(t, fault, 2, 1, 1)
		},
		"access denied": func(t *testing.T, s *sdk) {
			fault := awsfault.Refuse("AccessDeniedException")
			s.Add(awsfault.Rule{Fault: fault})
			if err := s.operation.call(t.Context(), s.config); !hasCode("AccessDeniedException")(err) {
				t.Errorf("%v", err)
			}
			s.mustHave(t, fault, 1, 0, 0)
		},
		"internal error": func(t *testing.T, s *sdk) {
			fault := awsfault.Refuse("InternalServerError")
			s.Add(awsfault.Rule{Fault: fault, When: awsfault.First(1)})
			if err := s.operation.call(t.Context(), s.config); err != nil {
				t.Errorf("%v", err)
			}
			s.mustHave(t, fault, 1, 1, 1)
		},
		"delayed": func(t *testing.T, s *sdk) {
			fault := awsfault.Delay(time.Millisecond)
			s.Add(awsfault.Rule{Fault: fault})
			if err := s.operation.call(t.Context(), s.config); err != nil {
				t.Errorf("%v", err)
			}
			s.mustHave(t, fault, 1, 0, 1)
		},
		"swallowed until the caller's time is over": func(t *testing.T, s *sdk) {
			s.Add(awsfault.Rule{Fault: awsfault.Swallow})
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if err := s.operation.call(ctx, s.config); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			s.mustHave(t, awsfault.Swallow, 1, 0, 0)
		},
		"swallowed once, with a limit per attempt": func(t *testing.T, s *sdk) {
			s.Add(awsfault.Rule{Fault: awsfault.Swallow, When: awsfault.First(1)})
			s.config.HTTPClient = awshttp.NewBuildableClient().WithTimeout(time.Second)
			if err := s.operation.call(t.Context(), s.config); err != nil {
				t.Errorf("%v", err)
			}
			// Unlike the functions' client, this one may retry a call after a
			// response.
			if n := s.Counts()[awsfault.Count{Service: s.operation.service, Operation: s.name, Fault: awsfault.Swallow}]; n != 1 {
				t.Errorf("%d calls were swallowed", n)
			}
		},
		"every answer lost": func(t *testing.T, s *sdk) {
			s.Add(awsfault.Rule{Fault: awsfault.LoseResponse})
			if err := s.operation.call(t.Context(), s.config); !is[*smithyhttp.RequestSendError](err) {
				t.Errorf("%v", err)
			}
			s.mustHave(t, awsfault.LoseResponse, sdkAttempts, 0, sdkAttempts)
		},
		"one answer lost": func(t *testing.T, s *sdk) {
			s.Add(awsfault.Rule{Fault: awsfault.LoseResponse, When: awsfault.First(1)})
			if err := s.operation.call(t.Context(), s.config); err != nil {
				t.Errorf("%v", err)
			}
			s.mustHave(t, awsfault.LoseResponse, 1, 1, 2)
		},
		"hanging after the headers": func(t *testing.T, s *sdk) {
			s.Add(awsfault.Rule{Fault: awsfault.HangAfterHeaders})
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if err := s.operation.call(ctx, s.config); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			s.mustHave(t, awsfault.HangAfterHeaders, 1, 0, 1)
		},
	}
	for name, value := range map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	cfg, err := startup.AWS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range operations {
		t.Run(op.service, func(t *testing.T) {
			for name, run := range cases {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					run(t, newSDK(t, cfg, op))
				})
			}
		})
	}
}
