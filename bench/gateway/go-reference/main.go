// Command reference is the yardstick that this project is measured against: the
// same job (browser -> api -> proxy -> WebSocket + yamux -> agent -> local server)
// written the way a good Go engineer would write it, with net/http,
// gorilla/websocket and hashicorp/yamux.
//
//	reference api    -listen 127.0.0.1:4721 -proxy http://127.0.0.1:4801
//	reference proxy  -tunnel 127.0.0.1:4800 -internal 127.0.0.1:4801
//	reference agent  -url ws://127.0.0.1:4800/tunnel/connect -token TOKEN -local 127.0.0.1:9000 [-mode splice|http] [-count N]
//	reference origin -listen 127.0.0.1:9000
//	reference sockets -url ws://127.0.0.1:4721/… -cookie session=… -count 1000 -seconds 10
//
// A request for /api/edges/TOKEN/http/PATH at the api reaches PATH on the agent's
// local server. The api checks an HMAC-SHA256 signed cookie, as a real one would.
package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"context"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/yamux"
)

var secret = []byte("reference-secret-of-thirty-two-b")

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: reference api|proxy|agent|origin|sockets [flags]")
	}
	role, args := os.Args[1], os.Args[2:]
	roles := map[string]func([]string) error{"api": api, "proxy": proxy, "agent": agent, "origin": origin, "sockets": sockets}
	run, ok := roles[role]
	if !ok {
		log.Fatalf("unknown role %q", role)
	}
	log.Fatal(run(args))
}

// ---- api ---------------------------------------------------------------------

func sign(id string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id))
	return id + "." + hex.EncodeToString(mac.Sum(nil))
}

func signed(cookie string) bool {
	id, _, found := strings.Cut(cookie, ".")
	return found && hmac.Equal([]byte(cookie), []byte(sign(id)))
}

func api(args []string) error {
	flags := flag.NewFlagSet("api", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:4721", "")
	target := flags.String("proxy", "http://127.0.0.1:4801", "")
	flags.Parse(args)
	base, err := url.Parse(*target)
	if err != nil {
		return err
	}
	forward := &httputil.ReverseProxy{
		Director: func(r *http.Request) {
			r.URL.Scheme, r.URL.Host = base.Scheme, base.Host
			r.Header.Del("Cookie")
		},
		Transport:     &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, DisableCompression: true},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	fmt.Println("cookie: session=" + sign("reference-user"))
	return http.ListenAndServe(*listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("session")
		if err != nil || !signed(cookie.Value) {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		forward.ServeHTTP(w, r)
	}))
}

// ---- proxy -------------------------------------------------------------------

type tunnels struct {
	mu     sync.RWMutex
	active map[string]*tunnel
}

type tunnel struct {
	session *yamux.Session
	forward *httputil.ReverseProxy
}

func (t *tunnels) put(token string, session *yamux.Session) {
	entry := &tunnel{session: session}
	entry.forward = &httputil.ReverseProxy{
		Director: func(r *http.Request) { r.URL.Scheme, r.URL.Host = "http", "edge" },
		Transport: &http.Transport{
			DialContext:         func(context.Context, string, string) (net.Conn, error) { return session.Open() },
			MaxIdleConnsPerHost: 1024,
			DisableCompression:  true,
		},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	t.mu.Lock()
	old := t.active[token]
	t.active[token] = entry
	t.mu.Unlock()
	if old != nil {
		old.session.Close()
	}
	<-session.CloseChan()
	t.mu.Lock()
	if t.active[token] == entry {
		delete(t.active, token)
	}
	t.mu.Unlock()
}

func (t *tunnels) get(token string) *tunnel {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.active[token]
}

func proxy(args []string) error {
	flags := flag.NewFlagSet("proxy", flag.ExitOnError)
	outer := flags.String("tunnel", "127.0.0.1:4800", "")
	inner := flags.String("internal", "127.0.0.1:4801", "")
	flags.Parse(args)
	all := &tunnels{active: map[string]*tunnel{}}
	upgrader := websocket.Upgrader{ReadBufferSize: 32 << 10, WriteBufferSize: 32 << 10}
	go func() {
		log.Fatal(http.ListenAndServe(*outer, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if token == "" {
				token = r.URL.Query().Get("token")
			}
			if token == "" {
				http.Error(w, "unauthorized", http.StatusUnauthorized)
				return
			}
			ws, err := upgrader.Upgrade(w, r, nil)
			if err != nil {
				return
			}
			session, err := yamux.Server(&wsConn{Conn: ws}, muxConfig())
			if err != nil {
				ws.Close()
				return
			}
			all.put(token, session)
		})))
	}()
	return http.ListenAndServe(*inner, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest := strings.TrimPrefix(r.URL.Path, "/api/edges/")
		token, path, _ := strings.Cut(rest, "/http")
		entry := all.get(token)
		if entry == nil {
			http.Error(w, "edge offline", http.StatusBadGateway)
			return
		}
		r.URL.Path = path
		entry.forward.ServeHTTP(w, r)
	}))
}

// ---- agent -------------------------------------------------------------------

func agent(args []string) error {
	flags := flag.NewFlagSet("agent", flag.ExitOnError)
	target := flags.String("url", "ws://127.0.0.1:4800/tunnel/connect", "")
	token := flags.String("token", "edge", "")
	local := flags.String("local", "127.0.0.1:9000", "")
	mode := flags.String("mode", "splice", "splice: copy bytes; http: read one request a stream")
	count := flags.Int("count", 1, "how many tunnels to hold open, tokens TOKEN-0, TOKEN-1, … when over 1")
	flags.Parse(args)
	failed := make(chan error)
	for i := 0; i < *count; i++ {
		name := *token
		if *count > 1 {
			name = fmt.Sprintf("%s-%d", *token, i)
		}
		header := http.Header{"Authorization": {"Bearer " + name}}
		dialer := websocket.Dialer{ReadBufferSize: 32 << 10, WriteBufferSize: 32 << 10}
		ws, _, err := dialer.Dial(*target, header)
		if err != nil {
			return err
		}
		session, err := yamux.Client(&wsConn{Conn: ws}, muxConfig())
		if err != nil {
			return err
		}
		go func() {
			for {
				stream, err := session.Accept()
				if err != nil {
					failed <- err
					return
				}
				if *mode == "http" {
					go serveHTTP(stream, *local)
				} else {
					go splice(stream, *local)
				}
			}
		}()
	}
	fmt.Println("connected", *count)
	return <-failed
}

func splice(stream net.Conn, local string) {
	defer stream.Close()
	conn, err := net.Dial("tcp", local)
	if err != nil {
		return
	}
	defer conn.Close()
	done := make(chan struct{}, 2)
	go func() { io.Copy(conn, stream); conn.(*net.TCPConn).CloseWrite(); done <- struct{}{} }()
	go func() { io.Copy(stream, conn); stream.Close(); done <- struct{}{} }()
	<-done
	<-done
}

var localTransport = &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true}

// serveHTTP is the first generation of agents: one HTTP exchange a stream.
func serveHTTP(stream net.Conn, local string) {
	defer stream.Close()
	request, err := http.ReadRequest(bufio.NewReader(stream))
	if err != nil {
		return
	}
	request.URL.Scheme, request.URL.Host, request.RequestURI = "http", local, ""
	response, err := localTransport.RoundTrip(request)
	if err != nil {
		response = &http.Response{StatusCode: http.StatusBadGateway, ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody}
	}
	defer response.Body.Close()
	response.Write(stream)
}

// ---- origin ------------------------------------------------------------------

// origin is a local server: / answers 13 bytes, /bytes/N answers N bytes,
// POST /count answers how many bytes it was sent, /socket echoes WebSocket messages.
func origin(args []string) error {
	flags := flag.NewFlagSet("origin", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:9000", "")
	flags.Parse(args)
	chunk := make([]byte, 64<<10)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello, world\n") })
	mux.HandleFunc("/count", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, n)
	})
	mux.HandleFunc("/bytes/", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(strings.TrimPrefix(r.URL.Path, "/bytes/"), 10, 64)
		if err != nil || n < 0 {
			http.Error(w, "not a size", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		for n > 0 {
			part := chunk
			if n < int64(len(part)) {
				part = part[:n]
			}
			if _, err := w.Write(part); err != nil {
				return
			}
			n -= int64(len(part))
		}
	})
	mux.HandleFunc("/socket", echo)
	return http.ListenAndServe(*listen, mux)
}

// ---- plumbing ----------------------------------------------------------------

func muxConfig() *yamux.Config {
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	return config
}

// wsConn is a net.Conn over a WebSocket: binary messages carry a byte stream, and
// where a message ends means nothing.
type wsConn struct {
	*websocket.Conn
	reader io.Reader
}

func (c *wsConn) Read(p []byte) (int, error) {
	for {
		if c.reader == nil {
			kind, reader, err := c.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("not a binary message")
			}
			c.reader = reader
		}
		n, err := c.reader.Read(p)
		if err == io.EOF {
			c.reader = nil
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (c *wsConn) Write(p []byte) (int, error) {
	if err := c.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *wsConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}
