package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	athletehandler "github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/credentials/handler"
)

// TestCountErasuresGetsTheReceipts: what the admin function issued reaches the
// athlete plane's function, and its counts come back.
func TestCountErasuresGetsTheReceipts(t *testing.T) {
	issued := []handler.ReceiptView{
		{Receipt: "one", RequestedAt: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)},
		{Receipt: "two", RequestedAt: time.Date(2026, 11, 20, 13, 0, 0, 0, time.UTC)},
	}
	want := athletehandler.ErasuresView{Pending: 3, Overdue: 2, Completed: 1}
	var got athletehandler.CountErasuresRequest
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/functions/the-function/invocations"):
			if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
				t.Error(err)
			}
			if err := json.NewEncoder(w).Encode(want); err != nil {
				t.Error(err)
			}
		case r.FormValue("StackName") == "Paceline-dev-AthletePlane":
			_, _ = fmt.Fprint(w, `<DescribeStacksResponse><DescribeStacksResult><Stacks><member><Outputs><member>
				<OutputKey>CountErasuresFunctionName</OutputKey><OutputValue>the-function</OutputValue>
				</member></Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`)
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer server.Close()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
	} {
		t.Setenv(name, value)
	}
	counts, err := (&target{stage: "dev"}).erasures(t.Context(), issued)
	if err != nil || counts != want {
		t.Errorf("%+v, %v, want %+v", counts, err, want)
	}
	same := func(a athletehandler.ReceiptView, b handler.ReceiptView) bool {
		return a == athletehandler.ReceiptView(b)
	}
	if !slices.EqualFunc(got.Receipts, issued, same) {
		t.Errorf("the function got %+v", got.Receipts)
	}
}
