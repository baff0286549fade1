// Package sidecar spawns the sidecar and talks to it. Standard library only: copy this file.
package sidecar

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Failure is the sidecar's answer that a request has failed: branch on Code.
type Failure struct {
	Code, Message, Hint, Field, URL, Step, Action string
	Retryable                                     bool
	Status                                        int
	Artifacts                                     map[string]any // what the page of a failed job showed
}

func (f *Failure) Error() string { return strings.TrimSuffix(f.Code+": "+f.Message+"; "+f.Hint, "; ") }

// Line is what the sidecar writes: events have Event and Content, `ready` has Protocol.
type Line struct {
	Type, Protocol, Event string
	Content               json.RawMessage
	Error                 *Failure
	ID                    *int
}

// Call is a request that was sent. Its answer is there when Done is closed.
type Call struct {
	Line
	Number, length int
	Done           chan struct{}
	Err            error // a *Failure, or that the sidecar has ended
}

// Sidecar is a running sidecar. Goroutines may share it; their requests run side by side.
type Sidecar struct {
	command       *exec.Cmd
	input         io.WriteCloser
	writing, lock sync.Mutex // the latter guards the three below
	waiting       map[int]*Call
	last          int
	ended         error
	over          chan struct{}
}

// Spawn starts command and waits until it is ready. With onEvent, which must not wait for a request, events are asked for.
func Spawn(onEvent func(Line), command ...string) (*Sidecar, error) {
	ready := &Call{Done: make(chan struct{})}
	s := &Sidecar{command: exec.Command(command[0], command[1:]...), waiting: map[int]*Call{0: ready}, over: make(chan struct{})}
	s.command.Stderr = os.Stderr
	s.input, _ = s.command.StdinPipe()
	output, _ := s.command.StdoutPipe()
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	go s.listen(json.NewDecoder(output), onEvent) // takes lines of any length, unlike a bufio.Scanner
	if <-ready.Done; ready.Type != "ready" || !strings.HasPrefix(ready.Protocol, "2.") {
		_ = s.command.Process.Kill()
		return nil, fmt.Errorf("no sidecar of protocol 2: its exit code is %d", s.Close())
	} else if onEvent == nil {
		return s, nil
	}
	return s, s.Request("hello", map[string]bool{"notifications": true}, nil)
}

// Start sends a message and does not wait. A content of nil is none. `cancel`, with the Number of a call, stops that one.
func (s *Sidecar) Start(kind string, content any) *Call {
	s.writing.Lock() // not the lock that reading needs: the sidecar may have to write before it reads on
	defer s.writing.Unlock()
	s.last++
	call := &Call{Number: s.last, Done: make(chan struct{})}
	message := map[string]any{"id": call.Number, "type": kind}
	if content != nil {
		message["content"] = content
	}
	text, err := json.Marshal(message)
	call.length = len(text)
	s.lock.Lock()
	if s.waiting[call.Number] = call; err == nil {
		err = s.ended
	}
	if err != nil {
		s.finish(call, Line{}, err)
	}
	if s.lock.Unlock(); err == nil {
		_, _ = s.input.Write(append(text, '\n')) // where it fails, the end of the output says so
	}
	return call
}

// Request sends a message, waits for its answer and decodes the content into result, which may be nil.
func (s *Sidecar) Request(kind string, content any, result any) error {
	call := s.Start(kind, content)
	if <-call.Done; call.Err != nil || result == nil || call.Content == nil {
		return call.Err
	}
	return json.Unmarshal(call.Content, result)
}

// Close tells the sidecar to finish, reads what it still answers, and gives its exit code; it is killed after 40 seconds.
func (s *Sidecar) Close() int {
	_ = s.input.Close()
	defer time.AfterFunc(40*time.Second, func() { _ = s.command.Process.Kill() }).Stop()
	<-s.over // Wait closes the pipe, so all has to be read before
	_ = s.command.Wait()
	return s.command.ProcessState.ExitCode()
}

func (s *Sidecar) listen(lines *json.Decoder, onEvent func(Line)) {
	for {
		reply := Line{}
		err := lines.Decode(&reply)
		if err == nil && reply.Type == "event" {
			onEvent(reply)
			continue
		}
		s.lock.Lock()
		if err != nil {
			s.ended = fmt.Errorf("the sidecar has ended (%v)", err)
		}
		answered := &Call{length: -1, Done: make(chan struct{})}
		for number, call := range s.waiting {
			if s.ended != nil {
				s.finish(call, Line{}, s.ended)
			} else if reply.ID != nil && number == *reply.ID || reply.ID == nil && call.length > answered.length {
				answered = call // only a line over the sidecar's limit, the longest, is answered without its id
			}
		}
		s.finish(answered, reply, nil)
		s.lock.Unlock()
		if s.ended != nil {
			close(s.over)
			return
		}
	}
}

func (s *Sidecar) finish(call *Call, reply Line, err error) {
	delete(s.waiting, call.Number)
	if call.Line, call.Err = reply, err; reply.Error != nil {
		call.Err = reply.Error
	}
	close(call.Done)
}
