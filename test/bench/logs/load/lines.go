package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// How lines say their times; each is always of the same length.
const (
	rfc3164 = time.Stamp
	rfc5424 = "2006-01-02T15:04:05.000000Z"
)

const (
	connections = 8
	containers  = 200
	// distinct is how many lines are made ahead; they are sent again and again.
	distinct = 160_000
)

// lines is all that is sent, made before the clock starts.
type lines struct {
	// sent is what each connection sends: the lines of 25 containers, mixed.
	sent [connections]stream
	// hosts is who wrote a message, which is in the documents that are looked at.
	hosts map[string]string
}

// stream is lines one behind the other, each with its line feed.
type stream struct {
	bytes []byte
	// ends is where each line ends.
	ends []int
	// layouts is how each says its time, which stands behind its PRI, and behind the version that follows that.
	layouts []string
}

func (s *stream) add(line, layout string) {
	s.bytes = append(s.bytes, line...)
	s.ends = append(s.ends, len(s.bytes))
	s.layouts = append(s.layouts, layout)
}

// setTime has a line say another time.
func (s *stream) setTime(i int, at time.Time) {
	line := s.line(i)
	start := bytes.IndexByte(line, '>') + 1
	if s.layouts[i] == rfc5424 {
		start += len("1 ")
	}
	copy(line[start:], at.Format(s.layouts[i]))
}

// line is one of the lines.
func (s *stream) line(i int) []byte {
	start := 0
	if i > 0 {
		start = s.ends[i-1]
	}
	return s.bytes[start:s.ends[i]]
}

var words = strings.Fields(`GET POST PUT request handled in ms user order cache miss hit upstream response timeout retry
	connection opened closed pool worker started finished job queue batch item stored fetched from database index page
	session token refreshed for client address port status code bytes sent received total average latency`)

// newLines makes lines of about 220 bytes: a third each by RFC 3164 with the name as tag, by RFC 5424 with microseconds
// and the tag that carries everything, and as Docker writes them by default. One in ten has JSON, as zap writes it; one in
// twenty something to be escaped, and one in five of those what is not ASCII.
func newLines() *lines {
	made := &lines{hosts: make(map[string]string, distinct)}
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Now().UTC().Add(-10 * time.Second)
	for i := range distinct {
		container := random.IntN(containers)
		at := now.Add(time.Duration(i) * 25 * time.Microsecond)
		host := fmt.Sprintf("node-%02d", container%20)
		text := message(random, i)
		header, layout := header(container, host, at)
		if i%10 == 3 {
			inner := text
			text = fmt.Sprintf(`{"level":"info","ts":%q,"logger":"http","msg":%q,"status":%d,"ms":%d}`,
				at.Format(rfc5424), inner, 200+random.IntN(300), random.IntN(1000))
			made.hosts[inner] = host
		}
		made.hosts[text] = host
		made.sent[container%connections].add(header+text+"\n", layout)
	}
	return made
}

// header is what stands before a container's message, and how it says the time.
func header(container int, host string, at time.Time) (header, layout string) {
	priority := 30
	if container%7 == 0 {
		priority = 27
	}
	id := fmt.Sprintf("%016x%048x", uint64(container+1)*0x9e3779b97f4a7c15, container)
	name := fmt.Sprintf("web-%d", container)
	switch container / connections % 3 {
	case 0:
		return fmt.Sprintf("<%d>%s %s %s[%d]: ", priority, at.Format(rfc3164), host, name, 1000+container), rfc3164
	case 1:
		image := fmt.Sprintf("v1|%s|%s|registry.corp/team/web:1.%d|sha256:%s|%s|prod", id, name, container%9, id, host)
		return fmt.Sprintf("<%d>1 %s %s %s %d %s - ", priority, at.Format(rfc5424), host, image, 1000+container, image), rfc5424
	default:
		return fmt.Sprintf("<%d>%s %s[%d]: ", priority, at.Format(rfc3164), id[:12], 1000+container), rfc3164
	}
}

func message(random *rand.Rand, i int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%07d", i)
	for length := 30 + random.IntN(70); text.Len() < length; {
		text.WriteByte(' ')
		text.WriteString(words[random.IntN(len(words))])
	}
	if i%20 == 7 {
		text.WriteString(" \"C:\\temp\\x\"\t\x1b[31mred\x1b[0m")
		if i%100 == 7 {
			text.WriteString(" größer ✓")
		}
	}
	return text.String()
}

// checked is what is looked at of a document.
type checked struct {
	Message string `json:"message"`
	Host    struct {
		Name string `json:"name"`
	} `json:"host"`
	Container struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"container"`
}

// check says what is wrong with a document; nil is nothing. Docker's default format names no host.
func (l *lines) check(document []byte) error {
	var found checked
	if err := json.Unmarshal(document, &found); err != nil {
		return fmt.Errorf("%w: %s", err, document)
	}
	host, known := l.hosts[found.Message]
	if !known {
		return fmt.Errorf("nobody sent this message: %s", document)
	}
	if found.Host.Name != host && found.Host.Name != "127.0.0.1" && found.Host.Name != "localhost" {
		return fmt.Errorf("it is from %s, not from %s: %s", host, found.Host.Name, document)
	}
	return nil
}
