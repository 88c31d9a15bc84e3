package credentials

import "strconv"

// ProviderStrava is the name of Strava among the providers.
const ProviderStrava = "strava"

// Account is a person's account at a provider.
type Account struct {
	// Provider's name, such as [ProviderStrava].
	Provider string
	// ID as the provider spells it; in Strava's case the athlete id in decimal.
	ID string
}

// Athlete is the account of a Strava athlete.
func Athlete(id int64) Account { return Account{ProviderStrava, strconv.FormatInt(id, 10)} }

// AthleteID returns the id by which the other boundaries know the account. They
// know Strava's athletes only: ok is false for an account of another provider,
// which an athlete links and which has no sessions.
func (a Account) AthleteID() (id int64, ok bool) {
	if a.Provider != ProviderStrava {
		return 0, false
	}
	id, err := strconv.ParseInt(a.ID, 10, 64)
	return id, err == nil && id > 0
}

// String returns the name of the account: its provider and its id, with a slash
// between.
func (a Account) String() string { return a.Provider + "/" + a.ID }
