package credentialstest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// RunCredentials checks an adapter of the table of sessions and keys. newStore
// returns an empty one each time, beside a store of grants.
func RunCredentials(t *testing.T, newStore func(t *testing.T) (credentials.CredentialStore, credentials.Grants)) {
	for name, check := range map[string]func(*testing.T, credentials.CredentialStore, credentials.Grants){
		"a credential is stored whole, and read with its grant":   credentialIsReadWithItsGrant,
		"a credential is its athlete's alone":                     credentialBelongsToOneAthlete,
		"use moves the expiry":                                    useMovesTheExpiry,
		"the first end stands":                                    firstEndStands,
		"a deleted credential stays deleted":                      deletedCredentialStaysDeleted,
		"all sessions of the stage are paged through and deleted": sessionsOfTheStageArePagedAndDeleted,
	} {
		t.Run(name, func(t *testing.T) {
			store, grants := newStore(t)
			check(t, store, grants)
		})
	}
}

// at is the time of the conformance cases, and midnight the start of its day.
var (
	at       = time.Date(2026, 11, 22, 10, 0, 0, 123e6, time.UTC)
	midnight = at.Truncate(24 * time.Hour)
)

// credential returns the athlete's credential number n.
func credential(athleteID int64, n int, kind credentials.CredentialKind) credentials.Credential {
	return credentials.Credential{
		Authorization: credentials.Authorization{AthleteID: athleteID, Generation: 5}, Hash: fmt.Sprintf("%064d", n), Kind: kind, CreatedAt: at,
		ExpiresAt: at.Add(time.Hour).Truncate(time.Second), UsedOn: midnight,
	}
}

func mustPut(t *testing.T, s credentials.CredentialStore, all ...credentials.Credential) {
	t.Helper()
	for _, c := range all {
		if err := s.Put(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func mustGet(t *testing.T, s credentials.CredentialStore, c credentials.Credential) credentials.Credential {
	t.Helper()
	got, _, err := s.Credential(t.Context(), c.AthleteID, c.Hash)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func mustBeGone(t *testing.T, s credentials.CredentialStore, c credentials.Credential) {
	t.Helper()
	if _, _, err := s.Credential(t.Context(), c.AthleteID, c.Hash); !fault.Is(err, fault.NotFound) {
		t.Errorf("credential %s: %v", c.Hash, err)
	}
}

func credentialIsReadWithItsGrant(t *testing.T, s credentials.CredentialStore, grants credentials.Grants) {
	key := credential(7, 1, credentials.KeyCredential)
	key.Name, key.ExpiresAt, key.UsedOn = "Watch “2”", time.Time{}, time.Time{}
	want := []credentials.Credential{credential(7, 2, credentials.SessionCredential), key}
	mustPut(t, s, want...)
	for _, c := range want {
		got, grant, err := s.Credential(t.Context(), 7, c.Hash)
		if d := cmp.Diff(c, got); err != nil || d != "" || grant.State != "" {
			t.Errorf("%+v, %v: %s", grant, err, d)
		}
	}
	if _, err := grants.Update(t.Context(), credentials.Athlete(7), func(g *credentials.Grant) (bool, error) {
		g.State, g.Generation, g.Since = credentials.Degraded, 9, 5
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	_, grant, err := s.Credential(t.Context(), 7, key.Hash)
	if err != nil || grant.State != credentials.Degraded || grant.Generation != 9 || grant.Since != 5 || grant.Account != credentials.Athlete(7) {
		t.Errorf("%+v, %v", grant, err)
	}
}

func credentialBelongsToOneAthlete(t *testing.T, s credentials.CredentialStore, _ credentials.Grants) {
	mine, hers := credential(7, 1, credentials.SessionCredential), credential(8, 2, credentials.SessionCredential)
	mustPut(t, s, mine, hers)
	for _, c := range []credentials.Credential{credential(8, 1, ""), credential(7, 2, ""), credential(7, 3, "")} {
		mustBeGone(t, s, c)
		if err := s.Delete(t.Context(), []credentials.Credential{c}); err != nil {
			t.Error(err)
		}
	}
	for _, want := range []credentials.Credential{mine, hers} {
		all, err := s.Credentials(t.Context(), want.AthleteID)
		if d := cmp.Diff([]credentials.Credential{want}, all); err != nil || d != "" {
			t.Error(err, d)
		}
	}
}

func useMovesTheExpiry(t *testing.T, s credentials.CredentialStore, _ credentials.Grants) {
	c := credential(7, 1, credentials.SessionCredential)
	mustPut(t, s, c)
	want := c
	want.UsedOn, want.ExpiresAt = midnight.Add(24*time.Hour), midnight.Add(9*24*time.Hour)
	if err := s.Update(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, mustGet(t, s, c)); d != "" {
		t.Error(d)
	}
	want.ExpiresAt = time.Time{}
	if err := s.Update(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, mustGet(t, s, c)); d != "" {
		t.Error(d)
	}
}

func firstEndStands(t *testing.T, s credentials.CredentialStore, _ credentials.Grants) {
	c := credential(7, 1, credentials.KeyCredential)
	c.Name = "watch"
	mustPut(t, s, c)
	tombstone := credentials.Credential{Authorization: c.Authorization, Hash: c.Hash, Kind: c.Kind, EndedAt: at, Receipt: "r"}
	later := tombstone
	later.EndedAt, later.Receipt = at.Add(time.Hour), "s"
	for _, end := range []credentials.Credential{tombstone, later} {
		if err := s.End(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(tombstone, mustGet(t, s, c)); d != "" {
		t.Error(d)
	}
}

func deletedCredentialStaysDeleted(t *testing.T, s credentials.CredentialStore, _ credentials.Grants) {
	c := credential(7, 1, credentials.SessionCredential)
	mustPut(t, s, c)
	for range 2 {
		if err := s.Delete(t.Context(), []credentials.Credential{c}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Update(t.Context(), c); err != nil {
		t.Error(err)
	}
	tombstone := c
	tombstone.EndedAt = at
	if err := s.End(t.Context(), tombstone); err != nil {
		t.Error(err)
	}
	mustBeGone(t, s, c)
}

func sessionsOfTheStageArePagedAndDeleted(t *testing.T, s credentials.CredentialStore, _ credentials.Grants) {
	want := []string{}
	for n := range 60 {
		c := credential(int64(1+n%7), n, credentials.SessionCredential)
		want = append(want, c.Hash)
		mustPut(t, s, c)
	}
	key, ended := credential(7, 100, credentials.KeyCredential), credential(7, 101, credentials.SessionCredential)
	ended.EndedAt = at
	mustPut(t, s, key, ended)
	for _, visit := range []func([]credentials.Credential) error{
		func([]credentials.Credential) error { return nil },
		func(page []credentials.Credential) error { return s.Delete(t.Context(), page) },
	} {
		got, cursor, pages := []string{}, "", 0
		for pages == 0 || cursor != "" && pages < 10 {
			page, next, err := s.Sessions(t.Context(), cursor, 25)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range page {
				got = append(got, c.Hash)
			}
			if err := visit(page); err != nil {
				t.Fatal(err)
			}
			pages++
			cursor = next
		}
		slices.Sort(got)
		if d := cmp.Diff(strings.Join(want, " "), strings.Join(got, " ")); d != "" || pages < 3 {
			t.Errorf("%d pages: %s", pages, d)
		}
	}
	if all, _, err := s.Sessions(t.Context(), "", 100); err != nil || len(all) != 0 {
		t.Errorf("%d sessions are left, %v", len(all), err)
	}
	mustGet(t, s, key)
	mustGet(t, s, ended)
}
