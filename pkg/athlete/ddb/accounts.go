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
	Profile       *profile           `dynamodbav:"profile,omitempty"`
	Generation    int64              `dynamodbav:"generation,omitempty"`
	ReadAt        dynamo.Millis      `dynamodbav:"read_at,omitempty"`
	Authorization *authorizationItem `dynamodbav:"authorization,omitempty"`
	Links         []linkItem         `dynamodbav:"links,omitempty"`
	Asked         dynamo.Millis      `dynamodbav:"asked_at,omitempty"`
	Leave         *leaveItem         `dynamodbav:"leave,omitempty"`
	Revoked       int64              `dynamodbav:"revoked_generation,omitempty"`
	Receipt       string             `dynamodbav:"receipt,omitempty"`
	ExpiresAt     dynamo.Seconds     `dynamodbav:"expires_at,omitempty"` // TTL
}

// profile has the fields of [gatheringv1.Athlete]; the conversion from one to the
// other fails to compile if one is missing.
type profile struct {
	ID            int64  `dynamodbav:"id"`
	Username      string `dynamodbav:"username,omitempty"`
	Firstname     string `dynamodbav:"firstname,omitempty"`
	Lastname      string `dynamodbav:"lastname,omitempty"`
	ProfileMedium string `dynamodbav:"profile_medium,omitempty"`
	Profile       string `dynamodbav:"profile,omitempty"`
	CreatedAt     string `dynamodbav:"created_at,omitempty"`
}

type authorizationItem struct {
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

type leaveItem struct {
	Receipt     string        `dynamodbav:"receipt"`
	Generation  int64         `dynamodbav:"generation"`
	RequestedAt dynamo.Millis `dynamodbav:"requested_at"`
}

func (i leaveItem) leave() athlete.Leave {
	return athlete.Leave{Receipt: i.Receipt, Generation: i.Generation, RequestedAt: i.RequestedAt.Time()}
}

func (i accountItem) account() athlete.Account {
	a := athlete.Account{
		Profile: (*gatheringv1.Athlete)(i.Profile), Generation: i.Generation, ReadAt: i.ReadAt.Time(),
		Authorization: (*athlete.Authorization)(i.Authorization), Asked: i.Asked.Time(),
		Revoked: i.Revoked, Receipt: i.Receipt, Expires: i.ExpiresAt.Time(),
	}
	for _, l := range i.Links {
		a.Links = append(a.Links, l.link())
	}
	if i.Leave != nil {
		l := i.Leave.leave()
		a.Leave = &l
	}
	return a
}

func accountItemOf(athleteID int64, a athlete.Account) accountItem {
	i := accountItem{
		key:     accountKey(athleteID),
		Profile: (*profile)(a.Profile), Generation: a.Generation, ReadAt: dynamo.MillisOf(a.ReadAt),
		Authorization: (*authorizationItem)(a.Authorization), Asked: dynamo.MillisOf(a.Asked),
		Revoked: a.Revoked, Receipt: a.Receipt, ExpiresAt: dynamo.SecondsOf(a.Expires),
	}
	for _, l := range a.Links {
		i.Links = append(i.Links, linkItem{
			Provider: l.Provider, AccountID: l.AccountID, Generation: l.Generation,
			AthleteGeneration: l.AthleteGeneration, LinkedAt: dynamo.MillisOf(l.LinkedAt),
		})
	}
	if l := a.Leave; l != nil {
		i.Leave = &leaveItem{Receipt: l.Receipt, Generation: l.Generation, RequestedAt: dynamo.MillisOf(l.RequestedAt)}
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
