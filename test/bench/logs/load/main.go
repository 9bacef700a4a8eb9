// The load of the log benchmarks: sends syslog lines over TCP or UDP as fast as they are taken, and is the sink that the
// documents go to.
//
//	load -listen 127.0.0.1:9200
//
// It answers one request of its own, which sends and waits until the sink has every document:
// POST /_bench/send?network=tcp&to=ADDRESS&lines=1000000. The result is a line of JSON. With `wait=sent` it ends when the
// lines are sent, with `wait=quiet` when no more documents come; with `rate`, datagrams a second, it does not send faster.
// With `span`, it sends lines of one format over TCP, whose times are spread over so many seconds before now.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// result is what a load did. Times in seconds.
type result struct {
	Operations int64 `json:"operations"`
	// Documents is how many came to the sink.
	Documents int64   `json:"documents"`
	Bytes     int64   `json:"bytes"`
	Seconds   float64 `json:"seconds"`
	// Sent is when the last line was sent.
	Sent float64 `json:"sent"`
	// CPU is what sender and sink used while the clock ran.
	CPU float64 `json:"cpu"`
}

func main() {
	address := flag.String("listen", "", "where the sink listens")
	flag.Parse()
	made := newLines()
	sink := &sink{lines: made, changed: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	mux.Handle("/", sink)
	mux.HandleFunc("/_bench/send", func(response http.ResponseWriter, request *http.Request) {
		done, err := send(made, sink, request)
		if err != nil {
			http.Error(response, err.Error(), http.StatusInternalServerError)
			return
		}
		json.NewEncoder(response).Encode(done)
	})
	if err := http.ListenAndServe(*address, mux); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// mostWritten is how many bytes go into one write, about.
const mostWritten = 256 << 10

func send(made *lines, sink *sink, request *http.Request) (result, error) {
	query := request.URL.Query()
	count, err := strconv.Atoi(query.Get("lines"))
	if err != nil {
		return result{}, err
	}
	rate, _ := strconv.Atoi(query.Get("rate"))
	span, _ := strconv.Atoi(query.Get("span"))
	network := query.Get("network")
	before := sink.documents.Load()
	var group sync.WaitGroup
	errs := make([]error, connections)
	sizes := make([]int64, connections)
	conns := make([]net.Conn, connections)
	for i := range conns {
		conn, err := net.Dial(network, query.Get("to"))
		if err != nil {
			return result{}, err
		}
		defer conn.Close()
		conns[i] = conn
	}
	cpu, start := cpuTime(), time.Now()
	for i, conn := range conns {
		group.Add(1)
		go func() {
			defer group.Done()
			switch {
			case span > 0:
				sizes[i], errs[i] = sendSpread(conn, &made.sent[i], count/connections, time.Duration(span)*time.Second)
			case network == "tcp":
				sizes[i], errs[i] = sendStream(conn, &made.sent[i], count/connections)
			default:
				sizes[i], errs[i] = sendDatagrams(conn, &made.sent[i], count/connections, rate/connections)
			}
		}()
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return result{}, err
		}
	}
	sent := time.Since(start)
	total := int64(count / connections * connections)
	came := func() int64 { return sink.documents.Load() - before }
	switch query.Get("wait") {
	case "sent":
	case "quiet":
		for quiet := false; !quiet; {
			select {
			case <-sink.changed:
			case <-time.After(2 * time.Second):
				quiet = true
			}
		}
	default:
		for came() < total {
			select {
			case <-sink.changed:
			case <-time.After(30 * time.Second):
				return result{}, fmt.Errorf("only %d of %d documents came", came(), total)
			}
		}
	}
	took, used := time.Since(start), cpuTime()-cpu
	if err := sink.failure.Load(); err != nil {
		return result{}, *err
	}
	var bytes int64
	for _, size := range sizes {
		bytes += size
	}
	return result{
		Operations: total,
		Documents:  came(),
		Bytes:      bytes,
		Seconds:    took.Seconds(),
		Sent:       sent.Seconds(),
		CPU:        used.Seconds(),
	}, nil
}

// sendStream sends lines as a stream, many in one write.
func sendStream(conn net.Conn, lines *stream, count int) (int64, error) {
	var size int64
	for left := count; left > 0; {
		lap := min(left, len(lines.ends))
		left -= lap
		for bytes := lines.bytes[:lines.ends[lap-1]]; len(bytes) > 0; {
			written, err := conn.Write(bytes[:min(mostWritten, len(bytes))])
			size += int64(written)
			if err != nil {
				return size, err
			}
			bytes = bytes[written:]
		}
	}
	return size, nil
}

// sendSpread sends the lines whose times have a zone, with times that are spread over a while before now: others are
// taken to be from a zone in which they are of now.
func sendSpread(conn net.Conn, lines *stream, count int, span time.Duration) (int64, error) {
	var size int64
	start := time.Now().UTC().Add(-span)
	buffer := make([]byte, 0, mostWritten+4096)
	for sent, i := 0, 0; sent < count; i = (i + 1) % len(lines.ends) {
		if lines.layouts[i] != rfc5424 {
			continue
		}
		lines.setTime(i, start.Add(span/time.Duration(count)*time.Duration(sent)))
		buffer = append(buffer, lines.line(i)...)
		sent++
		if len(buffer) >= mostWritten || sent == count {
			if _, err := conn.Write(buffer); err != nil {
				return size, err
			}
			size += int64(len(buffer))
			buffer = buffer[:0]
		}
	}
	return size, nil
}

// sendDatagrams sends each line as a datagram. Rate is in lines a second; it is kept over some milliseconds.
func sendDatagrams(conn net.Conn, lines *stream, count, rate int) (int64, error) {
	var size int64
	start := time.Now()
	for i := range count {
		line := lines.line(i % len(lines.ends))
		size += int64(len(line))
		if _, err := conn.Write(line); err != nil {
			return size, err
		}
		if rate > 0 && i%64 == 0 {
			time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
	}
	return size, nil
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
