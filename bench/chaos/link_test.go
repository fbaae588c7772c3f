package chaos

import (
	"bufio"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// echo listens on a port and sends each line that it reads back.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

type caller struct {
	t *testing.T
	net.Conn
	lines *bufio.Reader
}

func through(t *testing.T, k *link) *caller {
	t.Helper()
	c, err := net.Dial("tcp", k.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &caller{t, c, bufio.NewReader(c)}
}

// ask sends a line and waits for it to come back, for as long as patience says.
func (c *caller) ask(line string, patience time.Duration) error {
	c.t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return err
	}
	return c.wait(line, patience)
}

func (c *caller) wait(line string, patience time.Duration) error {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	got, err := c.lines.ReadString('\n')
	if err == nil && got != line+"\n" {
		c.t.Fatalf("got %q, want %q", got, line)
	}
	return err
}

func linked(t *testing.T) (*fabric, *link) {
	t.Helper()
	f := newFabric()
	k, err := newLink(f, 0, 1, echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.close)
	return f, k
}

const (
	soon  = 5 * time.Second
	never = 50 * time.Millisecond // long enough on a loopback to conclude that nothing comes
)

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestEachDirectionIsHeldByItself(t *testing.T) {
	for name, d := range map[string][2]int{"requests": {0, 1}, "answers": {1, 0}} {
		t.Run(name, func(t *testing.T) {
			f, k := linked(t)
			c := through(t, k)
			if err := c.ask("one", soon); err != nil {
				t.Fatal(err)
			}
			f.set(d[0], d[1], weather{held: true})
			if err := c.ask("two", never); !isTimeout(err) {
				t.Fatalf("through a cut: %v", err)
			}
			f.calm()
			// The line was held, not lost: TCP behaves so after a partition.
			if err := c.wait("two", soon); err != nil {
				t.Fatal(err)
			}
		})
	}
	f, k := linked(t)
	f.set(0, 2, weather{held: true}) // another pair's weather
	if err := through(t, k).ask("one", soon); err != nil {
		t.Fatal(err)
	}
}

func TestDelay(t *testing.T) {
	f, k := linked(t)
	c := through(t, k)
	const delay = 40 * time.Millisecond
	f.set(0, 1, weather{delay: delay})
	began := time.Now()
	for _, line := range []string{"one", "two", "three"} {
		if _, err := io.WriteString(c, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{"one", "two", "three"} {
		if err := c.wait(line, soon); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < delay {
		t.Errorf("took %v, less than the delay", took)
	}
}

func TestRefusalCutsWhatIsOpenAndWhatIsNew(t *testing.T) {
	f, k := linked(t)
	c := through(t, k)
	if err := c.ask("one", soon); err != nil {
		t.Fatal(err)
	}
	f.set(1, 0, weather{refused: true})
	if err := c.wait("", soon); err == nil || isTimeout(err) {
		t.Errorf("an idle connection was not cut: %v", err)
	}
	f.set(0, 1, weather{refused: true})
	if err := through(t, k).ask("two", soon); err == nil || isTimeout(err) {
		t.Errorf("a new connection was not cut: %v", err)
	}
	f.calm()
	if err := through(t, k).ask("three", soon); err != nil {
		t.Error(err)
	}
}

func TestALinkToNowhereHangsUp(t *testing.T) {
	k, err := newLink(newFabric(), 0, 1, "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.close)
	if err := through(t, k).ask("one", soon); err == nil || isTimeout(err) {
		t.Errorf("got %v", err)
	}
}
