package serve

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
	"time"
)

const (
	// logLines is how many lines may wait to be written. A reader that stops for a while gets them
	// when it continues.
	logLines = 4096
	// flushTime bounds the wait at the end for lines to be written.
	flushTime = time.Second
	// noticeEvery is the least time between two notices that lines were lost.
	noticeEvery = time.Second
)

// logOutput writes lines of the log in a goroutine of its own. Their reader may stop reading or
// end, and a disk may be full. Lines are then lost, and counted, but the code that logs is never
// held up and the process never ends because of it.
type logOutput struct {
	to     io.Writer
	lines  chan logLine
	lost   atomic.Uint64
	ending chan struct{}
	ended  chan struct{}

	// notice gets the number of lines lost so far, once lines are written again. It is set before
	// the first line.
	notice func(lost uint64)

	// Only the goroutine uses these:
	torn    bool // only a part of the last line was written
	noticed uint64
	next    time.Time // earliest time of the next notice
}

// logLine is a line. If text is nil, written is closed once all lines before it are written.
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
	if o.torn { // otherwise this line would continue the torn one
		text = append([]byte("\n"), text...)
	}
	n, err := o.to.Write(text)
	if err != nil {
		o.torn = o.torn || n > 0
		o.lost.Add(1)
		return
	}
	o.torn = false
	room := len(o.lines) < cap(o.lines)/2 // otherwise the notice would be lost, too
	if lost := o.lost.Load(); lost > o.noticed && o.notice != nil && room && time.Now().After(o.next) {
		o.noticed, o.next = lost, time.Now().Add(noticeEvery)
		o.notice(lost)
	}
}

var errLogStuck = errors.New("the log's reader takes nothing")

// Sync implements zapcore.WriteSyncer. It waits until all lines so far are written, but at most
// flushTime.
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

// close writes the waiting lines, unless that takes too long. The goroutine ends as soon as it is
// not stuck in a write.
func (o *logOutput) close() {
	_ = o.Sync()
	close(o.ending)
}
