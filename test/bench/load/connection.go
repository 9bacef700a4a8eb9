package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// target is where a load goes to.
type target struct {
	host, authorization string
}

// parseTarget takes an URL, with the user and password to send along, if any.
func parseTarget(text string) (target, error) {
	parsed, err := url.Parse(text)
	if err != nil {
		return target{}, err
	}
	authorization := ""
	if parsed.User != nil {
		password, _ := parsed.User.Password()
		pair := parsed.User.Username() + ":" + password
		authorization = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) + "\r\n"
	}
	return target{parsed.Host, authorization}, nil
}

// connection is one that is kept. It writes requests by itself: net/http would use more time than some servers do.
type connection struct {
	target target
	socket net.Conn
	reader *bufio.Reader
	drain  []byte
}

func (t target) connect() (*connection, error) {
	socket, err := net.Dial("tcp", t.host)
	if err != nil {
		return nil, err
	}
	return &connection{t, socket, bufio.NewReaderSize(socket, 64<<10), make([]byte, 1<<20)}, nil
}

func (c *connection) close() { c.socket.Close() }

// answer is what came back; the body has been read, and is counted.
type answer struct {
	status   int
	location string
	length   int64
}

// ask sends a request, whose headers end with a line break each, and reads its answer.
func (c *connection) ask(method, path, headers string, body net.Buffers, want int) (answer, error) {
	head := method + " " + path + " HTTP/1.1\r\nHost: " + c.target.host + "\r\n" + c.target.authorization + headers + "\r\n"
	message := append(net.Buffers{[]byte(head)}, body...)
	if _, err := message.WriteTo(c.socket); err != nil {
		return answer{}, err
	}
	response, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer response.Body.Close()
	if response.StatusCode != want {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
		return answer{}, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	length, err := io.CopyBuffer(writeOnly{io.Discard}, response.Body, c.drain)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return answer{response.StatusCode, response.Header.Get("Location"), length}, nil
}

// writeOnly hides that io.Discard reads by itself, in small pieces.
type writeOnly struct{ io.Writer }

// pathOf is the part of a location that a request names.
func pathOf(location string) (string, error) {
	parsed, err := url.Parse(location)
	if err != nil {
		return "", err
	}
	return parsed.RequestURI(), nil
}

// withQuery adds a parameter to a path.
func withQuery(path, parameter string) string {
	if strings.Contains(path, "?") {
		return path + "&" + parameter
	}
	return path + "?" + parameter
}
