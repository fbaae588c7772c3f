package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process runs one node, and can start it again and again.
type process struct {
	name, binary string
	args         []string
	log          string // file that every run of the process appends to

	mu      sync.Mutex
	running *exec.Cmd
	ended   chan struct{} // closed when the running process has ended
	paused  bool
	wanted  bool // it should run: if it ends nevertheless, that is a crash
	crashes []string
}

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil {
		return fmt.Errorf("%s runs already", p.name)
	}
	log, err := os.OpenFile(filepath.Clean(p.log), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	cmd := exec.Command(p.binary, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return errors.Join(err, log.Close())
	}
	ended := make(chan struct{})
	p.running, p.ended, p.paused, p.wanted = cmd, ended, false, true
	go func() {
		err := cmd.Wait()
		_ = log.Close()
		p.mu.Lock()
		if p.wanted && p.running == cmd {
			p.crashes = append(p.crashes, fmt.Sprintf("%s ended by itself: %v (see %s)", p.name, err, p.log))
		}
		if p.running == cmd {
			p.running = nil
		}
		p.mu.Unlock()
		close(ended)
	}()
	return nil
}

// unwanted says that the process is about to end, and returns it: nil if it does not run.
func (p *process) unwanted() (cmd *exec.Cmd, ended <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = false
	return p.running, p.ended
}

// kill ends the process at once and waits for its end.
func (p *process) kill() {
	cmd, ended := p.unwanted()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill() // works on a stopped process, too
	<-ended
}

// terminate asks the process to stop, and waits for its end.
func (p *process) terminate() {
	cmd, ended := p.unwanted()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(stoppedWithin):
		p.mu.Lock()
		p.crashes = append(p.crashes, fmt.Sprintf("%s did not stop within %v (see %s)", p.name, stoppedWithin, p.log))
		p.mu.Unlock()
		p.kill()
	}
}

// stoppedWithin is how long a process may take to stop when it is told to.
const stoppedWithin = 30 * time.Second

// pause stops the process; resume continues it, as if no time had passed for it.
func (p *process) pause()  { p.signal(syscall.SIGSTOP, true) }
func (p *process) resume() { p.signal(syscall.SIGCONT, false) }

func (p *process) signal(s os.Signal, paused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil && p.running.Process.Signal(s) == nil {
		p.paused = paused
	}
}

func (p *process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running != nil && !p.paused
}

// crashed returns a line for each time that the process ended although it should run.
func (p *process) crashed() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.crashes
}

// pid returns the ID of the running process, or 0.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return 0
	}
	return p.running.Process.Pid
}

// memory returns the resident memory of the process, in bytes. It is not known outside Linux.
func (p *process) memory() (bytes float64, known bool) {
	pid := p.pid()
	if pid == 0 {
		return 0, false
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	var kib float64
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	_, err = fmt.Sscan(rest, &kib)
	return kib * 1024, err == nil
}
