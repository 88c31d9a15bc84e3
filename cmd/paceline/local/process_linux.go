package local

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// identity identifies the process that has pid now by the boot and the clock tick
// of its start (proc(5), /proc/pid/stat). It is empty if there is none, or only a
// zombie.
func identity(pid int) string {
	state, _, started, ok := stat(pid)
	if !ok || state == "Z" || state == "X" {
		return ""
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + "/" + started
}

// groupMembers returns the processes of a group whose environment holds mark.
func groupMembers(group int, mark string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var members []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		state, pgrp, _, ok := stat(pid)
		if !ok || pgrp != group || state == "Z" || state == "X" {
			continue
		}
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && slices.ContainsFunc(bytes.Split(environ, []byte{0}), func(v []byte) bool { return string(v) == mark }) {
			members = append(members, pid)
		}
	}
	return members
}

// stat reads the state, the process group and the start time of a process.
func stat(pid int) (state string, group int, started string, ok bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0, "", false
	}
	// The second field, the program's name in brackets, may hold spaces and brackets.
	_, rest, found := strings.Cut(string(data[bytes.LastIndexByte(data, ')')+1:]), " ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 {
		return "", 0, "", false
	}
	group, err = strconv.Atoi(fields[2])
	return fields[0], group, fields[19], err == nil
}
