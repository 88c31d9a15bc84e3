package fitbit

import (
	"fmt"
	"slices"
	"time"
)

// Person has a Fitbit account.
type Person struct {
	// ID is the encoded user id, such as GGNJL9.
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	FullName    string `json:"full_name"`
	Timezone    string `json:"timezone"`
	MemberSince string `json:"member_since"` // YYYY-MM-DD
}

// SomePeople returns three people.
func SomePeople() []Person {
	return []Person{
		{"GGNJL9", "Ada K.", "Ada Kowalska", "Europe/Warsaw", "2019-03-02"},
		{"26FWFL", "Ben O.", "Ben Okafor", "Africa/Lagos", "2021-11-20"},
		{"4M8ZG2", "Chi T.", "Chi Tanaka", "Asia/Tokyo", "2024-06-30"},
	}
}

// PersonStatus is a person and whether the application may read their data.
type PersonStatus struct {
	Person
	Connected bool     `json:"connected"`
	Scope     []string `json:"scope"` // as last consented to
}

// account is a person and what has happened since the start.
type account struct {
	Person
	grant *grant // nil when the application is not connected
	hour  int64  // the number of the hour that used belongs to
	used  int    // calls in that hour
}

// account returns nil for an unknown id. The caller holds the lock, but in New.
func (s *Server) account(id string) *account {
	i := slices.IndexFunc(s.people, func(a *account) bool { return a.ID == id })
	if i < 0 {
		return nil
	}
	return s.people[i]
}

// People returns all people, in the order given.
func (s *Server) People() []PersonStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]PersonStatus, 0, len(s.people))
	for _, a := range s.people {
		p := PersonStatus{Person: a.Person, Scope: []string{}}
		if a.grant != nil {
			p.Connected, p.Scope = true, slices.Clone(a.grant.scope)
		}
		list = append(list, p)
	}
	return list
}

// Connected returns the ids of the people who are connected.
func (s *Server) Connected() []string {
	ids := []string{}
	for _, p := range s.People() {
		if p.Connected {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// connected returns ErrNotFound for a person who is unknown or not connected.
// The caller holds the lock.
func (s *Server) connected(user string) (*account, error) {
	a := s.account(user)
	if a == nil || a.grant == nil {
		return nil, fmt.Errorf("grant of %s: %w", user, ErrNotFound)
	}
	return a, nil
}

// Deauthorize lets a person remove the application on Fitbit's site: every token
// is dead. It returns ErrNotFound when the person is unknown or not connected.
func (s *Server) Deauthorize(user string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.connected(user)
	if err == nil {
		a.grant = nil
	}
	return err
}

// SetTokenLife makes every access token of a person expire left from now; 0
// makes them expired. It returns ErrNotFound as Deauthorize does.
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
