package credentialstest_test

import (
	"testing"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
)

func TestMemory(t *testing.T) {
	credentialstest.RunStorage(t, func(*testing.T) credentialstest.Storage { return credentialstest.NewStore() })
	credentialstest.RunVault(t, func(*testing.T) credentials.Vault { return credentialstest.NewVault() })
	credentialstest.RunWaitlistStore(t, &credentialstest.WaitlistStore{})
	credentialstest.RunCredentials(t, func(*testing.T) (credentials.CredentialStore, credentials.Grants) {
		grants := credentialstest.NewStore()
		return credentialstest.NewCredentialStore(grants), grants
	})
	credentialstest.RunSealer(t, &credentialstest.Sealer{})
}
