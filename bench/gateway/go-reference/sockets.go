package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// echo says every message back.
func echo(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	var buffer bytes.Buffer
	for {
		kind, reader, err := ws.NextReader()
		if err != nil {
			return
		}
		// What is measured is what is between the load and this: neither is to cost more than it must.
		buffer.Reset()
		if _, err := buffer.ReadFrom(reader); err != nil || ws.WriteMessage(kind, buffer.Bytes()) != nil {
			return
		}
	}
}

// sockets is the load: COUNT WebSockets, each of which sends SIZE bytes and waits for them to come back, again and
// again. It prints how many came back a second.
func sockets(args []string) error {
	flags := flag.NewFlagSet("sockets", flag.ExitOnError)
	target := flags.String("url", "", "")
	cookie := flags.String("cookie", "", "")
	count := flags.Int("count", 1000, "")
	size := flags.Int("size", 1024, "")
	seconds := flags.Float64("seconds", 10, "after all are open")
	flags.Parse(args)
	header := http.Header{"Cookie": {*cookie}}
	open := make([]*websocket.Conn, *count)
	errs := make(chan error, *count)
	gate := make(chan struct{}, 32)
	for i := range open {
		go func() {
			gate <- struct{}{}
			ws, _, err := websocket.DefaultDialer.Dial(*target, header)
			<-gate
			open[i] = ws
			errs <- err
		}()
	}
	for range open {
		if err := <-errs; err != nil {
			return err
		}
	}
	var messages atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	deadline := start.Add(time.Duration(*seconds * float64(time.Second)))
	for _, ws := range open {
		group.Add(1)
		go func() {
			defer group.Done()
			message := make([]byte, *size)
			answer := make([]byte, *size)
			for time.Now().Before(deadline) {
				if ws.WriteMessage(websocket.BinaryMessage, message) != nil {
					return
				}
				_, reader, err := ws.NextReader()
				if err != nil {
					return
				}
				if _, err := io.ReadFull(reader, answer); err != nil {
					return
				}
				messages.Add(1)
			}
		}()
	}
	group.Wait()
	fmt.Printf("messages/s: %.0f\n", float64(messages.Load())/time.Since(start).Seconds())
	os.Exit(0)
	return nil
}
