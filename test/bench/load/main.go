// The load of the benchmarks: speaks to a registry as clients do, as fast as it answers, and says how long that took.
//
//	load push -url http://127.0.0.1:5000 -repository bench -images 100 -layers 3 -layer-size 65536 -at-once 8
//	load mount -url … -from bench -repository made -images 1000 -at-once 8
//	load requests -url … -count 10000 -at-once 8 < requests
//
// Content and digests are made before the clock starts. The result is one line of JSON.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// result is what a load prints. Times in seconds, but for the latencies.
type result struct {
	Operations int     `json:"operations"`
	Bytes      int64   `json:"bytes"`
	Seconds    float64 `json:"seconds"`
	// CPU is what the load itself used while the clock ran.
	CPU       float64  `json:"cpu"`
	P50ms     float64  `json:"p50ms"`
	P99ms     float64  `json:"p99ms"`
	Blobs     []string `json:"blobs,omitempty"`
	Manifests []string `json:"manifests,omitempty"`
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("which load? push, mount or requests"))
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	loads := map[string]func(*flag.FlagSet, []string) (result, error){"push": push, "mount": mount, "requests": requests}
	load, known := loads[os.Args[1]]
	if !known {
		fail(fmt.Errorf("there is no load %s", os.Args[1]))
	}
	done, err := load(flags, os.Args[2:])
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(done); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "load:", err)
	os.Exit(1)
}

// extent is how much is done: so many operations, or, where that is 0, what can be done in so many seconds.
type extent struct {
	count   int
	seconds float64
	width   int
}

// atOnce does operations on `width` connections, and measures them. The first failure ends it.
func atOnce(target target, extent extent, operation func(*connection, int) (int64, error)) (result, error) {
	width := extent.width
	if extent.count > 0 {
		width = min(width, extent.count)
	}
	connections := make([]*connection, width)
	for i := range connections {
		opened, err := target.connect()
		if err != nil {
			return result{}, err
		}
		defer opened.close()
		connections[i] = opened
	}
	var next, bytes atomic.Int64
	var failure atomic.Pointer[error]
	latencies := make([][]time.Duration, width)
	var wait sync.WaitGroup
	cpu, start := cpuTime(), time.Now()
	goesOn := func(i int) bool {
		if extent.count > 0 {
			return i < extent.count
		}
		return time.Since(start).Seconds() < extent.seconds
	}
	for place, connection := range connections {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := int(next.Add(1)) - 1; goesOn(i) && failure.Load() == nil; i = int(next.Add(1)) - 1 {
				began := time.Now()
				n, err := operation(connection, i)
				if err != nil {
					failure.CompareAndSwap(nil, &err)
					return
				}
				latencies[place] = append(latencies[place], time.Since(began))
				bytes.Add(n)
			}
		}()
	}
	wait.Wait()
	if err := failure.Load(); err != nil {
		return result{}, *err
	}
	took, used := time.Since(start), cpuTime()-cpu
	all := slices.Concat(latencies...)
	slices.Sort(all)
	at := func(part int) float64 { return all[(len(all)-1)*part/100].Seconds() * 1000 }
	return result{
		Operations: len(all), Bytes: bytes.Load(), Seconds: took.Seconds(), CPU: used.Seconds(), P50ms: at(50), P99ms: at(99),
	}, nil
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
