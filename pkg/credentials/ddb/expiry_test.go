package ddb_test

import (
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/kit/dynamo/dynamotest"
	"github.com/paceline/paceline/pkg/kit/kittest"
	"github.com/paceline/paceline/pkg/kit/retention"
)

var ended = time.Date(2026, 7, 1, 12, 0, 0, 700_000_000, time.UTC)

// A grant whose tokens may still be valid never expires; a tombstone outlives
// every late event.
func TestOnlyTombstonesExpire(t *testing.T) {
	tokens := credentials.TokenRef{Generation: 1, Version: 1}
	late := []credentials.Candidate{{TokenRef: credentials.TokenRef{Sealed: []byte("sealed")}}}
	for name, tc := range map[string]struct {
		grant   credentials.Grant
		expires bool
	}{
		"in force":                  {credentials.Grant{State: credentials.Active, Tokens: tokens}, false},
		"degraded":                  {credentials.Grant{State: credentials.Degraded, Tokens: tokens}, false},
		"tokens not deleted":        {credentials.Grant{State: credentials.Revoked, Tokens: tokens, RevokedAt: ended}, false},
		"a pair came in afterwards": {credentials.Grant{State: credentials.Erased, Candidates: late, RevokedAt: ended}, false},
		"erased":                    {credentials.Grant{State: credentials.Erased, RevokedAt: ended}, true},
	} {
		tc.grant.Account, tc.grant.Generation = credentials.Athlete(7), 1
		var written dynamotest.LastWrite
		_, memory := credentialstest.NewPorts(time.Now)
		for _, s := range []credentials.Grants{ddb.NewGrants(&written, "table"), memory.Store} {
			_, err := s.Update(t.Context(), tc.grant.Account, func(g *credentials.Grant) (bool, error) { *g = tc.grant; return true, nil })
			kittest.Must(t, err)
		}
		expires := written.ExpiresAt()
		if expires.IsZero() == tc.expires {
			t.Errorf("%s: expires is %t", name, !tc.expires)
		} else if tc.expires && expires.Unix() != ended.Add(retention.Tombstone).Unix() {
			t.Errorf("%s: expires at %s", name, expires)
		}
		written.Expires(t, memory.DropExpired)
	}
}

func TestConnectStatesExpire(t *testing.T) {
	var written dynamotest.LastWrite
	_, memory := credentialstest.NewPorts(time.Now)
	for _, s := range []credentials.ConnectStates{ddb.NewGrants(&written, "table"), memory.Store} {
		kittest.Must(t, s.PutState(t.Context(), "state", credentials.ConnectState{ExpiresAt: ended}))
	}
	if expires := written.ExpiresAt(); expires.Unix() != ended.Unix() {
		t.Errorf("expires at %s", expires)
	}
	written.Expires(t, memory.DropExpired)
}

// What is left of a session or key, and an expired key, stays as long as a
// tombstone.
func TestCredentialsExpire(t *testing.T) {
	tombstone := ended.Add(retention.Tombstone)
	for name, tc := range map[string]struct {
		credential credentials.Credential
		// then is what is updated afterwards, or ends the credential.
		then    *credentials.Credential
		expires time.Time
	}{
		"session":       {credentials.Credential{Kind: credentials.SessionCredential, ExpiresAt: ended}, nil, ended},
		"key":           {credentials.Credential{Kind: credentials.KeyCredential, ExpiresAt: ended}, nil, tombstone},
		"key for ever":  {credentials.Credential{Kind: credentials.KeyCredential}, nil, time.Time{}},
		"ended session": {credentials.Credential{Kind: credentials.SessionCredential, ExpiresAt: ended.Add(time.Hour)}, &credentials.Credential{EndedAt: ended}, tombstone},
		"ended key":     {credentials.Credential{Kind: credentials.KeyCredential}, &credentials.Credential{EndedAt: ended}, tombstone},
		"renewed session": {
			credentials.Credential{Kind: credentials.SessionCredential, ExpiresAt: ended.Add(-time.Hour)}, &credentials.Credential{ExpiresAt: ended}, ended,
		},
		"key in use": {credentials.Credential{Kind: credentials.KeyCredential, ExpiresAt: ended.Add(-time.Hour)}, &credentials.Credential{ExpiresAt: ended}, tombstone},
		"key that is complete": {
			credentials.Credential{Kind: credentials.KeyCredential, ExpiresAt: ended}, &credentials.Credential{}, time.Time{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var written dynamotest.LastWrite
			_, memory := credentialstest.NewPorts(time.Now)
			for _, s := range []credentials.CredentialStore{ddb.NewCredentials(&written, "table", "grants"), memory.Credentials} {
				c := tc.credential
				c.AthleteID, c.Hash = 7, "hash"
				kittest.Must(t, s.Put(t.Context(), c))
				if tc.then != nil {
					c.EndedAt, c.ExpiresAt = tc.then.EndedAt, tc.then.ExpiresAt
					change := s.Update
					if !c.EndedAt.IsZero() {
						change = s.End
					}
					kittest.Must(t, change(t.Context(), c))
				}
			}
			if expires := written.ExpiresAt(); expires.IsZero() != tc.expires.IsZero() || !expires.IsZero() && expires.Unix() != tc.expires.Unix() {
				t.Errorf("expires at %s, want %s", expires, tc.expires)
			}
			written.Expires(t, memory.DropExpired)
		})
	}
}

func TestEntriesOfTheWaitlistExpire(t *testing.T) {
	var written dynamotest.LastWrite
	_, memory := credentialstest.NewPorts(time.Now)
	for _, s := range []credentials.WaitlistStore{ddb.NewWaitlist(&written, "table"), memory.Waitlist} {
		kittest.Must(t, s.Add(t.Context(), credentials.WaitlistEntry{Contact: "a@example.com", Since: ended}, ended.Add(-time.Hour)))
		kittest.Must(t, s.Add(t.Context(), credentials.WaitlistEntry{Contact: "a@example.com", Since: ended}, ended))
	}
	if expires := written.ExpiresAt(); expires.Unix() != ended.Unix() {
		t.Errorf("expires at %s", expires)
	}
	written.Expires(t, memory.DropExpired)
}
