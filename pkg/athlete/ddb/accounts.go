package ddb

import (
	"context"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// Accounts implements [athlete.Accounts].
type Accounts struct{ table dynamo.Table }

// NewAccounts returns the accounts in the named table.
func NewAccounts(api dynamo.API, table string) *Accounts {
	return &Accounts{dynamo.Table{API: api, Name: table}}
}

type accountItem struct {
	key
	dynamo.Revision
	Profile           *profile            `dynamodbav:"profile,omitempty"`
	ProfileGeneration int64               `dynamodbav:"profile_generation,omitempty"`
	ProfileReadAt     dynamo.Millis       `dynamodbav:"profile_read_at,omitempty"`
	Consent           *consentItem        `dynamodbav:"consent,omitempty"`
	Links             []linkItem          `dynamodbav:"links,omitempty"`
	GatherRequestedAt dynamo.Millis       `dynamodbav:"gather_requested_at,omitempty"`
	ErasureRequest    *erasureRequestItem `dynamodbav:"erasure_request,omitempty"`
	RevokedGeneration int64               `dynamodbav:"revoked_generation,omitempty"`
	Receipt           string              `dynamodbav:"receipt,omitempty"`
	ExpiresAt         dynamo.Seconds      `dynamodbav:"expires_at,omitempty"` // TTL
}

// profile has the fields of [gatheringv1.Athlete]; the conversion from one to
// the other fails to compile if one is missing.
type profile struct {
	ID            int64  `dynamodbav:"id"`
	Username      string `dynamodbav:"username,omitempty"`
	Firstname     string `dynamodbav:"firstname,omitempty"`
	Lastname      string `dynamodbav:"lastname,omitempty"`
	ProfileMedium string `dynamodbav:"profile_medium,omitempty"`
	Profile       string `dynamodbav:"profile,omitempty"`
	CreatedAt     string `dynamodbav:"created_at,omitempty"`
}

type consentItem struct {
	Generation int64    `dynamodbav:"generation"`
	Scopes     []string `dynamodbav:"scopes,omitempty"`
	Degraded   bool     `dynamodbav:"degraded,omitempty"`
}

type linkItem struct {
	Provider          string        `dynamodbav:"provider"`
	AccountID         string        `dynamodbav:"account_id,omitempty"`
	Generation        int64         `dynamodbav:"generation"`
	AthleteGeneration int64         `dynamodbav:"athlete_generation,omitempty"`
	LinkedAt          dynamo.Millis `dynamodbav:"linked_at,omitempty"`
}

func (i linkItem) link() athlete.Link {
	return athlete.Link{
		Provider: i.Provider, AccountID: i.AccountID, Generation: i.Generation,
		AthleteGeneration: i.AthleteGeneration, LinkedAt: i.LinkedAt.Time(),
	}
}

type erasureRequestItem struct {
	Receipt     string        `dynamodbav:"receipt"`
	Generation  int64         `dynamodbav:"generation"`
	RequestedAt dynamo.Millis `dynamodbav:"requested_at"`
}

func (i erasureRequestItem) request() athlete.ErasureRequest {
	return athlete.ErasureRequest{Receipt: i.Receipt, Generation: i.Generation, RequestedAt: i.RequestedAt.Time()}
}

func (i accountItem) account() athlete.Account {
	a := athlete.Account{
		Profile: (*gatheringv1.Athlete)(i.Profile), ProfileGeneration: i.ProfileGeneration, ProfileReadAt: i.ProfileReadAt.Time(),
		Consent: (*athlete.Consent)(i.Consent), GatherRequestedAt: i.GatherRequestedAt.Time(),
		RevokedGeneration: i.RevokedGeneration, Receipt: i.Receipt, ExpiresAt: i.ExpiresAt.Time(),
	}
	for _, l := range i.Links {
		a.Links = append(a.Links, l.link())
	}
	if i.ErasureRequest != nil {
		r := i.ErasureRequest.request()
		a.ErasureRequest = &r
	}
	return a
}

func accountItemOf(athleteID int64, a athlete.Account) accountItem {
	i := accountItem{
		key:     accountKey(athleteID),
		Profile: (*profile)(a.Profile), ProfileGeneration: a.ProfileGeneration, ProfileReadAt: dynamo.MillisOf(a.ProfileReadAt),
		Consent: (*consentItem)(a.Consent), GatherRequestedAt: dynamo.MillisOf(a.GatherRequestedAt),
		RevokedGeneration: a.RevokedGeneration, Receipt: a.Receipt, ExpiresAt: dynamo.SecondsOf(a.ExpiresAt),
	}
	for _, l := range a.Links {
		i.Links = append(i.Links, linkItem{
			Provider: l.Provider, AccountID: l.AccountID, Generation: l.Generation,
			AthleteGeneration: l.AthleteGeneration, LinkedAt: dynamo.MillisOf(l.LinkedAt),
		})
	}
	if r := a.ErasureRequest; r != nil {
		i.ErasureRequest = &erasureRequestItem{Receipt: r.Receipt, Generation: r.Generation, RequestedAt: dynamo.MillisOf(r.RequestedAt)}
	}
	return i
}

// Account implements [athlete.Accounts].
func (s *Accounts) Account(ctx context.Context, athleteID int64) (athlete.Account, error) {
	var item accountItem
	_, err := s.table.Get(ctx, accountKey(athleteID).item(), &item)
	return item.account(), err
}

// Update implements [athlete.Accounts].
func (s *Accounts) Update(ctx context.Context, athleteID int64, change func(*athlete.Account) (bool, error)) (athlete.Account, error) {
	var a athlete.Account
	_, err := dynamo.Update(ctx, s.table, dynamo.Usual, accountKey(athleteID).item(), func(item *accountItem) (bool, error) {
		a = item.account()
		changed, err := change(&a)
		if err == nil && changed {
			*item = accountItemOf(athleteID, a)
		}
		return changed, err
	})
	return a, err
}
