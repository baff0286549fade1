// Lets `sidecar conformance --client` use the client: see docs/writing-a-client.md.
package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"sync"

	"sidecar"
)

type instruction struct {
	As, Type, Cancel string
	Content          any
}

var saying sync.Mutex

func say(line map[string]any) {
	saying.Lock()
	defer saying.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(line)
}

func main() {
	told := func(event sidecar.Line) { say(map[string]any{"event": event.Event, "content": event.Content}) }
	child, err := sidecar.Spawn(told, os.Args[1:]...)
	if err != nil {
		say(map[string]any{"ended": true})
		return
	}
	calls, answered := map[string]*sidecar.Call{}, sync.WaitGroup{}
	lines := bufio.NewReader(os.Stdin)
	for {
		text, err := lines.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		var wanted instruction
		_ = json.Unmarshal(text, &wanted)
		if wanted.Cancel != "" {
			child.Start("cancel", map[string]int{"id": calls[wanted.Cancel].Number})
			continue
		}
		call := child.Start(wanted.Type, wanted.Content)
		calls[wanted.As] = call
		answered.Add(1)
		go func() {
			defer answered.Done()
			<-call.Done
			switch {
			case call.Error != nil:
				detail := map[string]any{"code": call.Error.Code, "message": call.Error.Message, "retryable": call.Error.Retryable}
				say(map[string]any{"as": wanted.As, "error": detail})
			case call.Err != nil:
				say(map[string]any{"as": wanted.As, "ended": true})
			default:
				say(map[string]any{"as": wanted.As, "content": call.Content})
			}
		}()
	}
	code := child.Close()
	answered.Wait()
	say(map[string]any{"closed": code})
}
