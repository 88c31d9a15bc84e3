package keystates

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// Gate is a transport that refuses requests to Parameter Store if KMS reports
// that their key cannot be used. Its codes and messages are those that
// Parameter Store was seen to return. It sends all other requests to Next.
type Gate struct {
	Next http.RoundTripper
	// KMS and SSM are the emulator's.
	KMS *kms.Client
	SSM *ssm.Client
	// Foreign are the keys whose policies do not allow the caller's role.
	Foreign map[string]bool
	// Fail, if it is not nil, refuses an action unless it returns the code "".
	Fail func(action string) (code, message string)
}

// RoundTrip implements [http.RoundTripper].
func (k *Gate) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	var in struct {
		Name, KeyId    string
		WithDecryption bool
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	_, action, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	if k.Fail != nil {
		if code, message := k.Fail(action); code != "" {
			return refusal(req, code, message), nil
		}
	}
	key := in.KeyId
	if action == "GetParameter" && in.WithDecryption {
		if key, err = k.keyOf(req.Context(), in.Name); err != nil {
			return nil, err
		}
	}
	if code, message := k.refuses(req.Context(), key, action); code != "" {
		return refusal(req, code, message), nil
	}
	return k.Next.RoundTrip(req)
}

// keyOf returns the key of the parameter's newest version, or "" if it does not
// exist.
func (k *Gate) keyOf(ctx context.Context, name string) (string, error) {
	out, err := k.SSM.DescribeParameters(ctx, &ssm.DescribeParametersInput{
		ParameterFilters: []types.ParameterStringFilter{{Key: aws.String("Name"), Values: []string{name}}},
	})
	if err != nil || len(out.Parameters) == 0 {
		return "", err
	}
	return aws.ToString(out.Parameters[0].KeyId), nil
}

// refuses returns the error for an action with the key, or "" if KMS allows it.
func (k *Gate) refuses(ctx context.Context, key, action string) (code, message string) {
	if key == "" {
		return "", ""
	}
	out, err := k.KMS.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(key)})
	var gone *kmstypes.NotFoundException
	denied := errors.As(err, &gone) && action == "GetParameter"
	switch {
	case k.Foreign[key], denied:
		return "AccessDeniedException", "The ciphertext refers to a customer master key that does not exist, does not exist in this region, " +
			"or you are not allowed to access. (Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException)"
	case errors.As(err, &gone):
		return "InvalidKeyId", "Key is not found. (Service: AWSKMS; Status Code: 400; Error Code: NotFoundException)"
	case err != nil:
		return "InternalServerError", err.Error()
	case out.KeyMetadata.KeyState == kmstypes.KeyStatePendingDeletion:
		return "InvalidKeyId", *out.KeyMetadata.Arn + " is pending deletion. (Service: AWSKMS; Status Code: 400; Error Code: KMSInvalidStateException)"
	case out.KeyMetadata.KeyState == kmstypes.KeyStateDisabled:
		return "InvalidKeyId", *out.KeyMetadata.Arn + " is disabled. (Service: AWSKMS; Status Code: 400; Error Code: DisabledException)"
	}
	return "", ""
}

func refusal(req *http.Request, code, message string) *http.Response {
	body, _ := json.Marshal(map[string]string{"__type": code, "message": message})
	return &http.Response{
		StatusCode: http.StatusBadRequest, Status: "400 Bad Request", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amzn-Errortype": {code}},
		Body:   io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}
