package gathering

import (
	"encoding/json"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// Page is one page of an athlete's activities, newest first, as Strava listed
// it.
type Page struct {
	// Activities are those that could be decoded, in the order of the page.
	Activities []gatheringv1.Activity
	// Entries is how many entries Strava sent. Unreadable holds the indexes of
	// entries without a readable id or start.
	Entries    int
	Unreadable []int
	// UnreadableMembers counts the unreadable members of Activities, by Strava's
	// name of the member.
	UnreadableMembers map[string]int
}

// maxChunkBytes bounds the JSON of a chunk's activities. EventBridge takes 256
// KB an entry, envelope included; half of that leaves room for what targets
// add.
const maxChunkBytes = 128 << 10

// chunks divides activities, in their order, among as few events as possible,
// each of at most [gatheringv1.MaxActivities] and at most maxChunkBytes. The
// same list is always divided in the same way. A larger activity would get a
// chunk of its own; the decoder's bounds exclude that.
func chunks(list []gatheringv1.Activity) [][]gatheringv1.Activity {
	var out [][]gatheringv1.Activity
	begin, size := 0, 0
	for i, a := range list {
		// Encoding fails only for NaN and infinity, and then publishing fails, too.
		encoded, _ := json.Marshal(a)
		n := len(encoded) + len(",")
		if i > begin && (i-begin == gatheringv1.MaxActivities || size+n > maxChunkBytes) {
			out = append(out, list[begin:i])
			begin, size = i, 0
		}
		size += n
	}
	if begin < len(list) {
		out = append(out, list[begin:])
	}
	return out
}
