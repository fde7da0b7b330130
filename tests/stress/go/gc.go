// Garbage collection with preemption: goroutines that allocate, compute without calls (so that only a suspension stops them),
// and talk over channels, while the collector runs all the time. Checks its data, and that all of them go on.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

type node struct {
	left, right *node
	value       int
}

func tree(depth, value int) *node {
	if depth == 0 {
		return &node{value: value}
	}
	return &node{tree(depth-1, 2*value), tree(depth-1, 2*value+1), value}
}

func (n *node) check(value int) int {
	if n.value != value {
		fmt.Println("a node has changed:", n.value, "for", value)
		os.Exit(3)
	}
	if n.left == nil {
		return 1
	}
	return 1 + n.left.check(2*value) + n.right.check(2*value+1)
}

var sink uint64

func main() {
	seconds := 1
	if len(os.Args) > 1 {
		seconds, _ = strconv.Atoi(os.Args[1])
	}
	debug.SetGCPercent(5)
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	var trees, spins, messages int64
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		all.Add(3)
		go func() {
			defer all.Done()
			for time.Now().Before(end) {
				tree(10, 1).check(1)
				atomic.AddInt64(&trees, 1)
			}
		}()
		go func() {
			defer all.Done()
			for time.Now().Before(end) {
				x := uint64(1)
				for n := 0; n < 20000000; n++ {
					x = x*6364136223846793005 + 1
				}
				atomic.AddUint64(&sink, x)
				atomic.AddInt64(&spins, 1)
			}
		}()
		go func() {
			defer all.Done()
			there, back := make(chan *node), make(chan *node)
			go func() {
				for n := range there {
					back <- &node{left: n, value: n.value + 1}
				}
				close(back)
			}()
			for time.Now().Before(end) {
				there <- &node{value: 7}
				if n := <-back; n.value != 8 || n.left.value != 7 {
					fmt.Println("a message has changed")
					os.Exit(3)
				}
				atomic.AddInt64(&messages, 1)
			}
			close(there)
		}()
	}
	done := make(chan bool)
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Duration(seconds)*time.Second*2 + time.Minute):
		fmt.Println("stands still")
		os.Exit(2)
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println(trees, "trees,", spins, "spins,", messages, "messages,", stats.NumGC, "collections")
	if trees == 0 || spins == 0 || messages == 0 || stats.NumGC == 0 {
		os.Exit(4)
	}
}
