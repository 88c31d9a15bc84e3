package quotatest_test

import (
	"testing"

	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/gathering/quota/quotatest"
)

func TestMemory(t *testing.T) {
	quotatest.Run(t, func(*testing.T) quota.Budgets { return &quotatest.Budgets{} })
}
