// Command bench is the yardstick of bench/yamux: hashicorp/yamux over gorilla/websocket, as both are by
// default, doing what bench/yamux/peer.ts does.
//
//	bench serve                           prints "listening HOST:PORT"
//	bench run HOST:PORT SCENARIO AMOUNT   prints "result NUMBER"
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/yamux"
)

const buffer = 32 << 10

type conn struct {
	*websocket.Conn
	reader io.Reader
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
	if err := c.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func config() *yamux.Config {
	c := yamux.DefaultConfig()
	c.LogOutput = io.Discard
	return c
}

func main() {
	log.SetFlags(0)
	if os.Args[1] == "serve" {
		serve()
		return
	}
	dialer := websocket.Dialer{ReadBufferSize: buffer, WriteBufferSize: buffer}
	socket, _, err := dialer.Dial("ws://"+os.Args[2], nil)
	check(err)
	session, err := yamux.Client(&conn{Conn: socket}, config())
	check(err)
	amount, _ := strconv.ParseInt(os.Args[4], 10, 64)
	scenario := map[string]func(*yamux.Session, int64) float64{
		"up": up, "down": down,
		"echo64":  func(s *yamux.Session, n int64) float64 { return echoes(s, n, 64) },
		"cycle1":  func(s *yamux.Session, n int64) float64 { return cycles(s, n, 1) },
		"cycle16": func(s *yamux.Session, n int64) float64 { return cycles(s, n, 16) },
	}[os.Args[3]]
	scenario(session, amount/10)
	fmt.Println("result", scenario(session, amount))
	session.Close()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println("listening", listener.Addr())
	upgrader := websocket.Upgrader{ReadBufferSize: buffer, WriteBufferSize: buffer}
	log.Fatal(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		socket, err := upgrader.Upgrade(w, r, nil)
		check(err)
		session, err := yamux.Server(&conn{Conn: socket}, config())
		check(err)
		for {
			stream, err := session.AcceptStream()
			if err != nil {
				return
			}
			go answer(stream)
		}
	})))
}

// answer does what the stream's first byte says: take so many bytes and answer one, send so many, or echo.
func answer(stream *yamux.Stream) {
	defer stream.Close()
	head := make([]byte, 1)
	if _, err := io.ReadFull(stream, head); err != nil {
		return
	}
	if head[0] == 'e' {
		io.Copy(stream, stream)
		return
	}
	length := make([]byte, 8)
	io.ReadFull(stream, length)
	count := int64(binary.BigEndian.Uint64(length))
	if head[0] == 'u' {
		take(stream, count)
		stream.Write([]byte{1})
	} else {
		pour(stream, count)
	}
}

func pour(w io.Writer, count int64) {
	block := make([]byte, 64<<10)
	for sent := int64(0); sent < count; sent += int64(len(block)) {
		if _, err := w.Write(block[:min(int64(len(block)), count-sent)]); err != nil {
			return
		}
	}
}

func take(r io.Reader, count int64) {
	block := make([]byte, 64<<10)
	for got := int64(0); got < count; {
		n, err := r.Read(block)
		if err != nil {
			return
		}
		got += int64(n)
	}
}

func request(session *yamux.Session, command byte, count int64) *yamux.Stream {
	stream, err := session.OpenStream()
	check(err)
	stream.Write(binary.BigEndian.AppendUint64([]byte{command}, uint64(count)))
	return stream
}

// up and down answer MB/s.
func up(session *yamux.Session, count int64) float64 {
	stream := request(session, 'u', count)
	began := time.Now()
	pour(stream, count)
	io.ReadFull(stream, make([]byte, 1))
	stream.Close()
	return float64(count) / 1e6 / time.Since(began).Seconds()
}

func down(session *yamux.Session, count int64) float64 {
	began := time.Now()
	stream := request(session, 'd', count)
	take(stream, count)
	stream.Close()
	return float64(count) / 1e6 / time.Since(began).Seconds()
}

// echoes answers 1 KiB questions answered a second, on so many streams at once.
func echoes(session *yamux.Session, count int64, width int) float64 {
	each := int(count) / width
	var group sync.WaitGroup
	began := time.Now()
	for i := 0; i < width; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			stream, err := session.OpenStream()
			check(err)
			stream.Write([]byte{'e'})
			question, answer := make([]byte, 1024), make([]byte, 1024)
			for n := 0; n < each; n++ {
				stream.Write(question)
				_, err := io.ReadFull(stream, answer)
				check(err)
			}
			stream.Close()
		}()
	}
	group.Wait()
	return float64(each*width) / time.Since(began).Seconds()
}

// cycles answers how often a second a stream is opened, echoes 64 bytes and is closed, so many at a time.
func cycles(session *yamux.Session, count int64, width int) float64 {
	each := int(count) / width
	var group sync.WaitGroup
	began := time.Now()
	for i := 0; i < width; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			question, answer := make([]byte, 65), make([]byte, 64)
			question[0] = 'e'
			for n := 0; n < each; n++ {
				stream, err := session.OpenStream()
				check(err)
				stream.Write(question)
				_, err = io.ReadFull(stream, answer)
				check(err)
				stream.Close()
				_, err = io.ReadFull(stream, answer[:1])
				if err != io.EOF {
					log.Fatal("no end: ", err)
				}
			}
		}()
	}
	group.Wait()
	return float64(each*width) / time.Since(began).Seconds()
}
