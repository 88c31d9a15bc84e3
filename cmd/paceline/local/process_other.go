//go:build !linux

package local

import (
	"os/exec"
	"strconv"
	"strings"
)

// identity identifies the process that has pid now by the time of its start. It
// is empty if there is none, or only a zombie.
func identity(pid int) string {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	state, started, found := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || !found || strings.HasPrefix(state, "Z") {
		return ""
	}
	return strings.TrimSpace(started)
}

// groupMembers returns the processes of a group whose environment holds mark.
func groupMembers(group int, mark string) []int {
	out, err := exec.Command("ps", "-axEww", "-o", "pid=,pgid=,stat=,command=").Output()
	if err != nil {
		return nil
	}
	var members []int
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[1] != strconv.Itoa(group) || strings.HasPrefix(fields[2], "Z") || !strings.Contains(line, mark) {
			continue
		}
		if pid, err := strconv.Atoi(fields[0]); err == nil {
			members = append(members, pid)
		}
	}
	return members
}
