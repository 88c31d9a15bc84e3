package strava

import (
	"strconv"
	"strings"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// rates reads Strava's rate limit headers (Strava, "Rate Limits"); nil unless
// all four are there.
func rates(header map[string]string) *quota.Rates {
	var r quota.Rates
	for name, p := range map[string]*quota.Pair{
		"X-Ratelimit-Limit": &r.Overall.Limit, "X-Ratelimit-Usage": &r.Overall.Usage,
		"X-Readratelimit-Limit": &r.Read.Limit, "X-Readratelimit-Usage": &r.Read.Usage,
	} {
		quarter, day, _ := strings.Cut(header[name], ",")
		var err, err2 error
		p.Quarter, err = strconv.Atoi(strings.TrimSpace(quarter))
		p.Day, err2 = strconv.Atoi(strings.TrimSpace(day))
		if err != nil || err2 != nil {
			return nil
		}
	}
	return &r
}
