package mongodb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Opcodes of MongoDB's wire protocol. The driver says hello in the oldest of them and everything
// else in the newest.
const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

// request is one message of a client.
type request struct {
	id      uint32
	opcode  uint32
	name    string // the name of the command
	command bson.Raw
	batch   []bson.Raw // documents sent beside the command: updates or deletes
}

// message reads one message. The request borrows from the buffer that is returned. The caller may
// pass that buffer in again for the next message.
//
//	length | id | in response to | opcode | body        each 4 bytes, little-endian
func message(r io.Reader, buffer []byte) (request, []byte, error) {
	var header [16]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return request{}, buffer, err
	}
	length := binary.LittleEndian.Uint32(header[:])
	if length < 16 || length > 48<<20 {
		return request{}, buffer, fmt.Errorf("a message of %d bytes", length)
	}
	body := append(buffer[:0], make([]byte, length-16)...)
	if _, err := io.ReadFull(r, body); err != nil {
		return request{}, body, err
	}
	q := request{id: binary.LittleEndian.Uint32(header[4:]), opcode: binary.LittleEndian.Uint32(header[12:])}
	var err error
	switch q.opcode {
	case opMsg:
		err = q.sections(body[4:]) // behind the flags
	case opQuery:
		err = q.query(body)
	default:
		err = fmt.Errorf("opcode %d", q.opcode)
	}
	if err == nil {
		var first bson.RawElement
		if first, err = q.command.IndexErr(0); err == nil {
			q.name = first.Key()
		}
	}
	return q, body, err
}

var errShort = errors.New("a message ends too early")

// document cuts a document off the front of b.
func document(b []byte) (doc bson.Raw, rest []byte, err error) {
	if len(b) < 5 {
		return nil, nil, errShort
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n < 5 || n > len(b) {
		return nil, nil, errShort
	}
	return bson.Raw(b[:n]), b[n:], nil
}

func (q *request) sections(b []byte) (err error) {
	for len(b) > 0 {
		kind := b[0]
		b = b[1:]
		if kind == 0 {
			if q.command, b, err = document(b); err != nil {
				return err
			}
			continue
		}
		if len(b) < 4 {
			return errShort
		}
		n := int(binary.LittleEndian.Uint32(b)) // the length of the section, including these 4 bytes
		if n < 5 || n > len(b) {
			return errShort
		}
		section := b[4:n]
		b = b[n:]
		for len(section) > 0 && section[0] != 0 { // the field's name
			section = section[1:]
		}
		for section = section[1:]; len(section) > 0; {
			var doc bson.Raw
			if doc, section, err = document(section); err != nil {
				return err
			}
			q.batch = append(q.batch, doc)
		}
	}
	return nil
}

func (q *request) query(b []byte) (err error) {
	b = b[4:] // flags
	for len(b) > 0 && b[0] != 0 {
		b = b[1:]
	}
	if len(b) < 9 {
		return errShort
	}
	q.command, _, err = document(b[9:]) // behind the end of the name, skip and limit
	return err
}

// appendReply appends the message that answers q with doc.
func appendReply(dst []byte, q request, doc []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, 16)...)
	opcode := uint32(opMsg)
	if q.opcode == opQuery {
		opcode = opReply
		dst = append(dst, replyHead[:]...)
	} else {
		dst = append(dst, 0, 0, 0, 0, 0) // no flags; a section of one document
	}
	dst = append(dst, doc...)
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start))
	binary.LittleEndian.PutUint32(dst[start+8:], q.id)
	binary.LittleEndian.PutUint32(dst[start+12:], opcode)
	return dst
}

// replyHead holds flags, cursor and position, all zero, and the number of documents, one.
var replyHead = [20]byte{16: 1}
