package serve

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
	"time"
)

const (
	// logLines is how many lines may wait to be written. When a reader stops for a while they are
	// there once it goes on.
	logLines = 4096
	// flushTime bounds the wait for lines to be written at the end.
	flushTime = time.Second
	// noticeEvery is how often the log says at most that lines were lost.
	noticeEvery = time.Second
)

// logOutput writes lines of the log in a goroutine of its own. What reads them may stop reading, or
// be gone, and a disk may be full: that costs lines, which are counted, and never holds up who
// writes them or ends the process.
type logOutput struct {
	to     io.Writer
	lines  chan logLine
	lost   atomic.Uint64
	ending chan struct{}
	ended  chan struct{}

	// notice is told how many lines were lost so far, once lines are written again. Set before the
	// first line.
	notice func(lost uint64)

	// Of the goroutine alone:
	torn    bool // the last line was written in part
	noticed uint64
	next    time.Time // no notice before
}

// logLine is a line, or nil and what to close once all lines before it are written.
type logLine struct {
	text    []byte
	written chan struct{}
}

func newLogOutput(to io.Writer) *logOutput {
	o := &logOutput{to: to, lines: make(chan logLine, logLines), ending: make(chan struct{}), ended: make(chan struct{})}
	go o.run()
	return o
}

// Write implements io.Writer. It never blocks and never fails.
func (o *logOutput) Write(line []byte) (int, error) {
	select {
	case o.lines <- logLine{text: bytes.Clone(line)}:
	default:
		o.lost.Add(1)
	}
	return len(line), nil
}

func (o *logOutput) run() {
	defer close(o.ended)
	for {
		select {
		case l := <-o.lines:
			o.put(l)
		case <-o.ending:
			return
		}
	}
}

func (o *logOutput) put(l logLine) {
	if l.text == nil {
		close(l.written)
		return
	}
	text := l.text
	if o.torn { // this line must not be taken for the rest of that one
		text = append([]byte("\n"), text...)
	}
	n, err := o.to.Write(text)
	if err != nil {
		o.torn = o.torn || n > 0
		o.lost.Add(1)
		return
	}
	o.torn = false
	room := len(o.lines) < cap(o.lines)/2 // else the notice would be lost, too
	if lost := o.lost.Load(); lost > o.noticed && o.notice != nil && room && time.Now().After(o.next) {
		o.noticed, o.next = lost, time.Now().Add(noticeEvery)
		o.notice(lost)
	}
}

var errLogStuck = errors.New("the log's reader takes nothing")

// Sync implements zapcore.WriteSyncer: it waits until all lines so far are written, but not for
// long.
func (o *logOutput) Sync() error {
	timeout := time.NewTimer(flushTime)
	defer timeout.Stop()
	mark := logLine{written: make(chan struct{})}
	select {
	case o.lines <- mark:
	case <-o.ended:
		return nil
	case <-timeout.C:
		return errLogStuck
	}
	select {
	case <-mark.written:
		return nil
	case <-o.ended:
		return nil
	case <-timeout.C:
		return errLogStuck
	}
}

// close writes what waits, unless that takes too long, and ends the goroutine as soon as it is not
// stuck in a write.
func (o *logOutput) close() {
	_ = o.Sync()
	close(o.ending)
}
