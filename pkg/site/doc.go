// Package site holds the security headers that go out with every answer of the
// site's origin. It owns them for both front doors: CloudFront on AWS and the
// proxy on a laptop. It publishes and consumes nothing.
package site
