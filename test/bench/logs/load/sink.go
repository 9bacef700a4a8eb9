package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// sink answers bulks at once, as Elasticsearch does when all was stored. It counts documents, and looks at every thousandth.
type sink struct {
	lines     *lines
	documents atomic.Int64
	failure   atomic.Pointer[error]
	// changed is told of each bulk.
	changed chan struct{}
}

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (s *sink) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	response.Header().Set("X-Elastic-Product", "Elasticsearch")
	response.Header().Set("Content-Type", "application/json")
	if vendor := request.Header.Get("Accept"); strings.HasPrefix(vendor, "application/vnd.elasticsearch+json") {
		response.Header().Set("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
	}
	body := bodies.Get().(*bytes.Buffer)
	body.Reset()
	defer bodies.Put(body)
	if _, err := io.Copy(body, request.Body); err != nil {
		return
	}
	if !strings.HasSuffix(request.URL.Path, "/_bulk") {
		io.WriteString(response, `{"version":{"number":"9.4.3"},"tagline":"You Know, for Search","acknowledged":true}`)
		return
	}
	count := s.take(body.Bytes())
	answer(response, count)
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// take counts the documents of a bulk: every second line is one.
func (s *sink) take(body []byte) int {
	count := 0
	for {
		end := bytes.IndexByte(body, '\n')
		if end < 0 {
			break
		}
		body = body[end+1:]
		end = bytes.IndexByte(body, '\n')
		if end < 0 {
			end = len(body)
		}
		if end == 0 {
			continue
		}
		if (s.documents.Load()+int64(count))%1000 == 0 {
			if err := s.lines.check(body[:end]); err != nil {
				s.failure.CompareAndSwap(nil, &err)
			}
		}
		count++
		body = body[min(end+1, len(body)):]
	}
	s.documents.Add(int64(count))
	return count
}

var item = []byte(`{"create":{"_index":".ds-logs-docker-default-2026.11.24-000001","status":201}}`)

// answer is what Elasticsearch says of documents that were stored, as far as shiplog asks for it.
func answer(response http.ResponseWriter, count int) {
	var text bytes.Buffer
	text.Grow(count*(len(item)+1) + 64)
	fmt.Fprint(&text, `{"errors":false,"items":[`)
	for i := range count {
		if i > 0 {
			text.WriteByte(',')
		}
		text.Write(item)
	}
	text.WriteString("]}")
	response.Write(text.Bytes())
}
