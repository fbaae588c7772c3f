package baseline

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// CPU returns the user and system time of processes so far. False: the system does not tell it, or
// a process has ended. Linux counts it in hundredths of a second.
func CPU(pids ...int) (total time.Duration, known bool) {
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, false
		}
		// The name is in parentheses and may have spaces. The times are fields 14 and 15.
		text := string(stat)
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		if len(fields) < 13 {
			return 0, false
		}
		for _, field := range fields[11:13] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, false
			}
			total += time.Duration(n) * (time.Second / 100)
		}
	}
	return total, true
}
