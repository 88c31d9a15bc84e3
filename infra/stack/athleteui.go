package stack

import (
	"net/url"
	"path/filepath"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscertificatemanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfrontorigins"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3deployment"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/infra/construct"
	"github.com/paceline/paceline/pkg/site"
)

// AthleteUIProps configures the athlete UI.
type AthleteUIProps struct {
	Config config.Config
	API    awsapigatewayv2.IHttpApi
	// WebhookAPI receives Strava's webhooks.
	WebhookAPI awsapigatewayv2.IHttpApi
	// Site is the folder of the built site.
	Site string
}

// AthleteUI is the site and the CloudFront distribution, which serves the site's
// files and the HTTP APIs on one origin.
type AthleteUI struct {
	awscdk.Stack
}

// NewAthleteUI makes the athlete UI's stack.
func NewAthleteUI(scope constructs.Construct, id string, props *AthleteUIProps) *AthleteUI {
	c := props.Config
	s := newStack(scope, id, c, "athlete-ui", "Paceline: the site and its CloudFront distribution")

	bucket := awss3.NewBucket(s, jsii.String("Site"), &awss3.BucketProps{
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		EnforceSSL:        jsii.Bool(true),
		RemovalPolicy:     construct.RemovalPolicy(c),
	})
	construct.Acknowledge(bucket, "AwsSolutions-S1", "Only CloudFront reads the bucket, and its content is public.")

	headers := newHeaders(s)
	// APIs receive requests unchanged: no cache, every method, and all header fields
	// (including Content-Encoding) except Host. CloudFront does not change bodies.
	apiBehavior := func(api awsapigatewayv2.IHttpApi) *awscloudfront.BehaviorOptions {
		return &awscloudfront.BehaviorOptions{
			Origin: awscloudfrontorigins.NewHttpOrigin(
				jsii.String(*api.ApiId()+".execute-api."+*s.Region()+"."+*s.UrlSuffix()), nil),
			AllowedMethods:        awscloudfront.AllowedMethods_ALLOW_ALL(),
			CachePolicy:           awscloudfront.CachePolicy_CACHING_DISABLED(),
			OriginRequestPolicy:   awscloudfront.OriginRequestPolicy_ALL_VIEWER_EXCEPT_HOST_HEADER(),
			ResponseHeadersPolicy: headers,
			ViewerProtocolPolicy:  awscloudfront.ViewerProtocolPolicy_HTTPS_ONLY,
		}
	}
	api := apiBehavior(props.API)
	distributionProps := &awscloudfront.DistributionProps{
		DefaultRootObject: jsii.String("index.html"),
		DefaultBehavior: &awscloudfront.BehaviorOptions{
			Origin:                awscloudfrontorigins.S3BucketOrigin_WithOriginAccessControl(bucket, nil),
			CachePolicy:           awscloudfront.CachePolicy_CACHING_OPTIMIZED(),
			ResponseHeadersPolicy: headers,
			ViewerProtocolPolicy:  awscloudfront.ViewerProtocolPolicy_REDIRECT_TO_HTTPS,
		},
		AdditionalBehaviors: &map[string]*awscloudfront.BehaviorOptions{
			"/v1/*":       api,
			"/oauth/*":    api,
			"/webhooks/*": apiBehavior(props.WebhookAPI),
		},
		HttpVersion: awscloudfront.HttpVersion_HTTP2_AND_3,
	}
	if c.CertificateARN != "" {
		origin, err := url.Parse(c.SiteURL)
		if err != nil {
			panic("NewAthleteUI: Config.SiteURL: " + err.Error())
		}
		distributionProps.MinimumProtocolVersion = awscloudfront.SecurityPolicyProtocol_TLS_V1_2_2021
		distributionProps.DomainNames = jsii.Strings(origin.Hostname())
		distributionProps.Certificate = awscertificatemanager.Certificate_FromCertificateArn(s, jsii.String("Certificate"), jsii.String(c.CertificateARN))
	}
	distribution := awscloudfront.NewDistribution(s, jsii.String("FrontDoor"), distributionProps)
	construct.Acknowledge(distribution, "AwsSolutions-CFR1", "Athletes may be in any country.")
	construct.Acknowledge(distribution, "AwsSolutions-CFR2",
		"A web application firewall costs more than the rest of the system. API Gateway limits the rate, and every route checks its input.")
	construct.Acknowledge(distribution, "AwsSolutions-CFR3",
		"Access logs would hold OAuth codes, the webhook's secret path and athletes' IP addresses. The HTTP APIs log routes without them.")
	if c.CertificateARN == "" {
		construct.Acknowledge(distribution, "AwsSolutions-CFR4",
			"CloudFront's own domain has a fixed TLS policy. A stage with a certificate accepts only TLS 1.2 and later.")
	}

	if omits(c, siteDeployment) {
		return &AthleteUI{Stack: s}
	}
	deploySite(s, props, bucket, distribution)
	siteURL := jsii.String("https://" + *distribution.DistributionDomainName())
	if c.CertificateARN != "" {
		siteURL = jsii.String(c.SiteURL)
	}
	output(s, "SiteUrl", siteURL, "The site's address")
	return &AthleteUI{Stack: s}
}

// newHeaders makes a policy with the response headers of package site.
func newHeaders(s awscdk.Stack) awscloudfront.ResponseHeadersPolicy {
	yes := jsii.Bool(true)
	return awscloudfront.NewResponseHeadersPolicy(s, jsii.String("Headers"), &awscloudfront.ResponseHeadersPolicyProps{
		SecurityHeadersBehavior: &awscloudfront.ResponseSecurityHeadersBehavior{
			ContentSecurityPolicy: &awscloudfront.ResponseHeadersContentSecurityPolicy{
				ContentSecurityPolicy: jsii.String(site.ContentSecurityPolicy), Override: jsii.Bool(false), // the HTTP API sets its own
			},
			ContentTypeOptions: &awscloudfront.ResponseHeadersContentTypeOptions{Override: yes},
			FrameOptions: &awscloudfront.ResponseHeadersFrameOptions{
				FrameOption: awscloudfront.HeadersFrameOption_DENY, Override: yes,
			},
			ReferrerPolicy: &awscloudfront.ResponseHeadersReferrerPolicy{
				ReferrerPolicy: awscloudfront.HeadersReferrerPolicy_STRICT_ORIGIN_WHEN_CROSS_ORIGIN, Override: yes,
			},
			StrictTransportSecurity: &awscloudfront.ResponseHeadersStrictTransportSecurity{
				AccessControlMaxAge: awscdk.Duration_Seconds(jsii.Number(site.HSTSMaxAge)), IncludeSubdomains: yes, Override: yes,
			},
		},
		CustomHeadersBehavior: &awscloudfront.ResponseCustomHeadersBehavior{
			CustomHeaders: &[]*awscloudfront.ResponseCustomHeader{
				{Header: jsii.String("Permissions-Policy"), Value: jsii.String(site.PermissionsPolicy), Override: yes},
				{Header: jsii.String("Cross-Origin-Opener-Policy"), Value: jsii.String(site.CrossOriginOpenerPolicy), Override: yes},
			},
		},
	})
}

// deploySite uploads the site. It uploads the assets first, whose names hold a
// hash of their content and which may be cached forever, and then the pages that
// refer to them. Assets of earlier deployments stay for pages that are open.
func deploySite(s awscdk.Stack, props *AthleteUIProps, bucket awss3.IBucket, distribution awscloudfront.IDistribution) {
	construct.MustExist(filepath.Join(props.Site, "index.html"), props.Config)
	logs := construct.NewLogGroup(s, "DeploymentLogs", props.Config)
	source := &[]awss3deployment.ISource{awss3deployment.Source_Asset(jsii.String(props.Site), nil)}
	hashed := jsii.Strings("assets/*")
	assets := awss3deployment.NewBucketDeployment(s, jsii.String("Assets"), &awss3deployment.BucketDeploymentProps{
		DestinationBucket: bucket,
		Sources:           source,
		Exclude:           jsii.Strings("*"),
		Include:           hashed,
		Prune:             jsii.Bool(false),
		CacheControl:      &[]awss3deployment.CacheControl{awss3deployment.CacheControl_FromString(jsii.String("public, max-age=31536000, immutable"))},
		RetainOnDelete:    jsii.Bool(props.Config.Removal == config.Retain),
		LogGroup:          logs,
	})
	pages := awss3deployment.NewBucketDeployment(s, jsii.String("Pages"), &awss3deployment.BucketDeploymentProps{
		DestinationBucket: bucket,
		Sources:           source,
		Exclude:           hashed,
		CacheControl:      &[]awss3deployment.CacheControl{awss3deployment.CacheControl_FromString(jsii.String("no-cache"))},
		RetainOnDelete:    jsii.Bool(props.Config.Removal == config.Retain),
		LogGroup:          logs,
		Distribution:      distribution,
		DistributionPaths: jsii.Strings("/*"),
	})
	pages.Node().AddDependency(assets)

	// Both use one function, which the CDK adds.
	const reason = "The CDK adds this function and its role, and uses them only during a deployment."
	for _, child := range *s.Node().Children() {
		if strings.HasPrefix(*child.Node().Id(), "Custom::CDKBucketDeployment") {
			construct.Acknowledge(child, "AwsSolutions-IAM4", reason)
			construct.Acknowledge(child, "AwsSolutions-IAM5", reason)
			construct.Acknowledge(child, "AwsSolutions-L1", reason)
		}
	}
}
