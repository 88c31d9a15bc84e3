package credentialstest_test

import (
	"context"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

func TestMemory(t *testing.T) {
	runStores(t, func() credentials.Ports { ports, _ := credentialstest.NewPorts(time.Now); return ports })
}

func TestInterceptedMemory(t *testing.T) {
	runStores(t, func() credentials.Ports {
		ports, _ := credentialstest.NewPorts(time.Now)
		return credentialstest.Intercept(ports, kittest.PassThrough)
	})
}

func runStores(t *testing.T, newPorts func() credentials.Ports) {
	credentialstest.RunStorage(t, func(*testing.T) credentialstest.Storage {
		p := newPorts()
		return struct {
			credentials.Grants
			credentials.GrantCounter
			credentials.ConnectStates
		}{p.Grants, p.Counter, p.States}
	})
	credentialstest.RunVault(t, func(*testing.T) credentials.Vault { return newPorts().Vault })
	credentialstest.RunWaitlistStore(t, newPorts().WaitlistStore)
	credentialstest.RunCredentials(t, func(*testing.T) (credentials.CredentialStore, credentials.Grants) {
		p := newPorts()
		return p.CredentialStore, p.Grants
	})
	credentialstest.RunSealer(t, newPorts().Sealer)
}

func TestEveryCallIsIntercepted(t *testing.T) {
	ports, _ := credentialstest.NewPorts(time.Now)
	ports.OAuth, ports.API, ports.Push = struct{ credentials.OAuth }{}, struct{ credentials.API }{}, struct{ credentials.Push }{}
	ports.ReadToday = func(context.Context, time.Time, func(string) (credentialsv1.ForwardResponse, error)) (credentials.Today, error) {
		panic("not called")
	}
	kittest.RunIntercept(t, credentialstest.Boundary, credentialstest.StaleReads, ports, credentialstest.Intercept)
}

func TestAnUpdateOfADroppedTombstoneStartsOver(t *testing.T) {
	_, m := credentialstest.NewPorts(time.Now)
	kittest.RunDropped(t, func(change func(*credentials.Grant) (bool, error)) error {
		_, err := m.Store.Update(t.Context(), credentials.Athlete(7), change)
		return err
	}, func(g *credentials.Grant) { g.State, g.RevokedAt = credentials.Erased, time.Now() }, m.DropExpired)
}
