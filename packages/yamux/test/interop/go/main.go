// Command interop is a peer for the interop tests: hashicorp/yamux over gorilla/websocket.
//
//	interop -role server|client [-dial URL] [-fragment] [-drive SCENARIO:COUNT:BYTES]
//
// Without -dial it listens on a free port and says so: "listening HOST:PORT". It answers streams, and
// with -drive it opens streams as well, prints "result ok" or "result WHAT WAS WRONG", and ends.
//
// A stream begins with a byte that says what its acceptor is to do:
//
//	e  send everything back, then FIN
//	h  read to the end, then send the SHA-256 of it in hex, then FIN
//	s  eight bytes follow, a length: send so many bytes and then their SHA-256, then FIN
//	p  as h, but do not read for a while
//	r  read until it fails, and keep the error
//	q  send the kept error
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/yamux"
)

// conn is a WebSocket as the net.Conn that yamux wants: one message for each Write.
type conn struct {
	*websocket.Conn
	reader   io.Reader
	fragment bool
}

func (c *conn) Read(p []byte) (int, error) {
	for {
		if c.reader == nil {
			_, reader, err := c.NextReader()
			if err != nil {
				return 0, err
			}
			c.reader = reader
		}
		n, err := c.reader.Read(p)
		if errors.Is(err, io.EOF) {
			c.reader = nil
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (c *conn) Write(p []byte) (int, error) {
	for sent := 0; sent < len(p); {
		end := len(p)
		if c.fragment {
			end = min(sent+1+rand.Intn(37), len(p))
		}
		if err := c.WriteMessage(websocket.BinaryMessage, p[sent:end]); err != nil {
			return sent, err
		}
		sent = end
	}
	return len(p), nil
}

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func main() {
	role := flag.String("role", "server", "yamux role")
	dial := flag.String("dial", "", "WebSocket URL to connect to")
	fragment := flag.Bool("fragment", false, "send messages of 1 to 37 bytes")
	drive := flag.String("drive", "", "scenario to run")
	flag.Parse()
	log.SetFlags(0)

	run := func(socket *websocket.Conn) {
		config := yamux.DefaultConfig()
		config.LogOutput = os.Stderr
		start := yamux.Server
		if *role == "client" {
			start = yamux.Client
		}
		session, err := start(&conn{Conn: socket, fragment: *fragment}, config)
		if err != nil {
			log.Fatal(err)
		}
		go accept(session)
		if *drive != "" {
			if err := scenario(session, *drive); err != nil {
				fmt.Println("result", err)
			} else {
				fmt.Println("result ok")
			}
		}
		<-session.CloseChan()
	}

	if *dial != "" {
		socket, _, err := websocket.DefaultDialer.Dial(*dial, nil)
		if err != nil {
			log.Fatal(err)
		}
		run(socket)
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening", listener.Addr())
	upgrader := websocket.Upgrader{}
	log.Fatal(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		socket, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			log.Fatal(err)
		}
		run(socket)
	})))
}

// ---- answering ---------------------------------------------------------------

var kept struct {
	sync.Mutex
	err error
}

func accept(session *yamux.Session) {
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return
		}
		go answer(stream)
	}
}

func answer(stream *yamux.Stream) {
	defer stream.Close()
	command := make([]byte, 1)
	if _, err := io.ReadFull(stream, command); err != nil {
		return
	}
	switch command[0] {
	case 'e':
		io.Copy(stream, stream)
	case 'p':
		time.Sleep(300 * time.Millisecond)
		fallthrough
	case 'h':
		hash := sha256.New()
		io.Copy(hash, stream)
		fmt.Fprintf(stream, "%x", hash.Sum(nil))
	case 's':
		length := make([]byte, 8)
		io.ReadFull(stream, length)
		send(stream, int64(binary.BigEndian.Uint64(length)), true)
	case 'r':
		// Said before the reset comes: one that comes earlier than the command was read is seen by nobody.
		stream.Write([]byte{'r'})
		_, err := io.Copy(io.Discard, stream)
		kept.Lock()
		kept.err = err
		kept.Unlock()
	case 'q':
		kept.Lock()
		fmt.Fprint(stream, kept.err)
		kept.Unlock()
	}
}

// send writes so many bytes, and their hash after them if asked to, and answers the hash.
func send(stream io.Writer, length int64, withHash bool) ([]byte, error) {
	hash := sha256.New()
	block := make([]byte, 64<<10)
	rand.Read(block)
	for sent := int64(0); sent < length; {
		size := min(int64(len(block)), length-sent)
		binary.BigEndian.PutUint64(block, uint64(sent))
		hash.Write(block[:size])
		if _, err := stream.Write(block[:size]); err != nil {
			return nil, err
		}
		sent += size
	}
	sum := hash.Sum(nil)
	if withHash {
		_, err := stream.Write(sum)
		return sum, err
	}
	return sum, nil
}

// ---- driving -----------------------------------------------------------------

func scenario(session *yamux.Session, text string) error {
	parts := strings.Split(text, ":")
	count, _ := strconv.Atoi(parts[1])
	size, _ := strconv.ParseInt(parts[2], 10, 64)
	one := map[string]func(*yamux.Session, int64) error{"echo": echo, "hash": upload, "send": download}[parts[0]]
	failures := make(chan error, count)
	for i := 0; i < count; i++ {
		go func() { failures <- one(session, size) }()
	}
	var result error
	for i := 0; i < count; i++ {
		result = errors.Join(result, <-failures)
	}
	return result
}

// echo sends a random number of bytes, half-closes, and compares digests of what comes back.
func echo(session *yamux.Session, limit int64) error {
	stream, err := session.OpenStream()
	if err != nil {
		return err
	}
	payload := make([]byte, rand.Int63n(limit+1))
	rand.Read(payload)
	sent, received := fnv.New64a(), fnv.New64a()
	sent.Write(payload)
	go func() {
		stream.Write([]byte{'e'})
		stream.Write(payload)
		stream.Close()
	}()
	n, err := io.Copy(received, stream)
	if err != nil {
		return fmt.Errorf("stream %d after %d of %d bytes: %w", stream.StreamID(), n, len(payload), err)
	}
	if n != int64(len(payload)) || !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
		return fmt.Errorf("stream %d: %d bytes came back of %d", stream.StreamID(), n, len(payload))
	}
	return nil
}

func upload(session *yamux.Session, length int64) error {
	stream, err := session.OpenStream()
	if err != nil {
		return err
	}
	stream.Write([]byte{'h'})
	sum, err := send(stream, length, false)
	if err != nil {
		return err
	}
	stream.Close()
	answer, err := io.ReadAll(stream)
	if err != nil {
		return err
	}
	if string(answer) != hex.EncodeToString(sum) {
		return fmt.Errorf("hash %s is not %x", answer, sum)
	}
	return nil
}

func download(session *yamux.Session, length int64) error {
	stream, err := session.OpenStream()
	if err != nil {
		return err
	}
	request := binary.BigEndian.AppendUint64([]byte{'s'}, uint64(length))
	stream.Write(request)
	hash := sha256.New()
	if n, err := io.CopyN(hash, stream, length); err != nil {
		return fmt.Errorf("after %d bytes: %w", n, err)
	}
	sum, err := io.ReadAll(stream)
	if err != nil {
		return err
	}
	if !bytes.Equal(sum, hash.Sum(nil)) {
		return fmt.Errorf("hash %x is not %x", sum, hash.Sum(nil))
	}
	return stream.Close()
}
