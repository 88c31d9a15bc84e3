package fitbit

import (
	"fmt"
	"slices"
	"time"
)

// User has a Fitbit account.
type User struct {
	// ID is the encoded user id, such as GGNJL9.
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	FullName    string `json:"full_name"`
	Timezone    string `json:"timezone"`
	MemberSince string `json:"member_since"` // YYYY-MM-DD
}

// SomeUsers returns three users.
func SomeUsers() []User {
	return []User{
		{"GGNJL9", "Ada K.", "Ada Kowalska", "Europe/Warsaw", "2019-03-02"},
		{"26FWFL", "Ben O.", "Ben Okafor", "Africa/Lagos", "2021-11-20"},
		{"4M8ZG2", "Chi T.", "Chi Tanaka", "Asia/Tokyo", "2024-06-30"},
	}
}

// UserState is a user and whether the application may read the user's data.
type UserState struct {
	User
	Connected bool     `json:"connected"`
	Scope     []string `json:"scope"` // of the last consent
}

// account is a user with what has happened since the start.
type account struct {
	User
	grant *grant // nil when the application is not connected
	hour  int64  // the hour that calls belongs to, in hours since 1970
	calls int
}

// account returns nil for an unknown id. The caller holds the lock, except in
// New.
func (s *Server) account(id string) *account {
	i := slices.IndexFunc(s.accounts, func(a *account) bool { return a.ID == id })
	if i < 0 {
		return nil
	}
	return s.accounts[i]
}

// Users returns all users, in the order of Config.Users.
func (s *Server) Users() []UserState {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]UserState, 0, len(s.accounts))
	for _, a := range s.accounts {
		u := UserState{User: a.User, Scope: []string{}}
		if a.grant != nil {
			u.Connected, u.Scope = true, slices.Clone(a.grant.scopes)
		}
		list = append(list, u)
	}
	return list
}

// Connected returns the ids of the users who are connected.
func (s *Server) Connected() []string {
	ids := []string{}
	for _, u := range s.Users() {
		if u.Connected {
			ids = append(ids, u.ID)
		}
	}
	return ids
}

// connected returns [ErrNotFound] for a user who is unknown or not connected. The
// caller holds the lock.
func (s *Server) connected(user string) (*account, error) {
	a := s.account(user)
	if a == nil || a.grant == nil {
		return nil, fmt.Errorf("grant of user %s: %w", user, ErrNotFound)
	}
	return a, nil
}

// Deauthorize removes the application as the user can do on Fitbit's site: all
// tokens become invalid. It returns [ErrNotFound] if the user is unknown or not
// connected.
func (s *Server) Deauthorize(user string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.connected(user)
	if err == nil {
		a.grant = nil
	}
	return err
}

// SetTokenLife makes every access token of a user expire left from now; with 0
// they have expired. It returns [ErrNotFound] as Deauthorize does.
func (s *Server) SetTokenLife(user string, left time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.connected(user)
	if err != nil {
		return err
	}
	for _, t := range s.tokens {
		if t.grant == a.grant && !t.refresh {
			t.expires = s.now().Add(left)
		}
	}
	return nil
}
