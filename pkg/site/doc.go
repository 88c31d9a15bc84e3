// Package site has the security headers of every response of the site's origin,
// for both edges: CloudFront on AWS and the proxy on a laptop. It publishes and
// consumes nothing.
package site
