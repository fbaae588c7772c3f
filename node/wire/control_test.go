package wire

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"
)

var controlSample = Control{Op: OpUpdate, Cluster: 0x0102030405060708, To: 2, From: 3, Epoch: 4, Body: []byte("body")}
var replySample = ControlReply{Status: ControlRefused, Cluster: 9, BootID: 0xa0b0, Epoch: 7, Body: []byte("why")}

// The bytes are a contract between versions of the software.
func TestControlBytes(t *testing.T) {
	for _, c := range []struct {
		name, want string
		got        []byte
	}{
		{"request", "23" + "0102030405060708" + "0000000000000002" + "0000000000000003" + "0000000000000004" + "626f6479", AppendControl(nil, &controlSample)},
		{"reply", "04" + "0000000000000009" + "000000000000a0b0" + "0000000000000007" + "776879", AppendControlReply(nil, &replySample)},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	c, err := ParseControl(AppendControl(nil, &controlSample))
	if err != nil || !reflect.DeepEqual(c, controlSample) {
		t.Errorf("request came back as %+v, %v", c, err)
	}
	r, err := ParseControlReply(AppendControlReply(nil, &replySample))
	if err != nil || !reflect.DeepEqual(r, replySample) {
		t.Errorf("reply came back as %+v, %v", r, err)
	}
}

func TestControlRefusesTheMalformed(t *testing.T) {
	request, reply := AppendControl(nil, &controlSample), AppendControlReply(nil, &replySample)
	for n := range controlHeader {
		if _, err := ParseControl(request[:n]); err == nil {
			t.Errorf("a request of %d bytes was accepted", n)
		}
	}
	for n := range controlReplyHeader {
		if _, err := ParseControlReply(reply[:n]); err == nil {
			t.Errorf("a reply of %d bytes was accepted", n)
		}
	}
	request[0] = byte(FirstControlOp) - 1
	if _, err := ParseControl(request); err == nil {
		t.Error("a code of the data path was accepted")
	}
	for _, status := range []byte{0, byte(controlStatusEnd), 255} {
		reply[0] = status
		if _, err := ParseControlReply(reply); err == nil {
			t.Errorf("status %d was accepted", status)
		}
	}
}

func TestControlNames(t *testing.T) {
	for got, want := range map[string]string{
		OpDiscover.String(): "discover", OpRaft.String(): "raft", ControlOp(99).String(): "control(99)", ControlOp(3).String(): "control(3)",
		ControlOK.String(): "ok", ControlClosed.String(): "closed", ControlStatus(0).String(): "status(0)", ControlStatus(200).String(): "status(200)",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func FuzzControl(f *testing.F) {
	f.Add(AppendControl(nil, &controlSample))
	f.Add(AppendControlReply(nil, &replySample))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ParseControl(b); err == nil && !bytes.Equal(AppendControl(nil, &c), b) {
			t.Errorf("request %x is not canonical", b)
		}
		if r, err := ParseControlReply(b); err == nil && !bytes.Equal(AppendControlReply(nil, &r), b) {
			t.Errorf("reply %x is not canonical", b)
		}
	})
}
