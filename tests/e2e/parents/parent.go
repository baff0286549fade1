// The same parent as parent.py, in Go.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	how := os.Args[1]
	sidecar := exec.Command(os.Args[2], os.Args[3:]...)
	stdin := must(sidecar.StdinPipe())
	stdout := bufio.NewReader(must(sidecar.StdoutPipe()))
	must(sidecar.StderrPipe()) // and never read
	must(0, sidecar.Start())
	read := func() { fmt.Print(must(stdout.ReadString('\n'))) }

	lines := bufio.NewScanner(os.Stdin)
	if how == "one by one" {
		read() // ready
		for lines.Scan() {
			must(fmt.Fprintln(stdin, lines.Text()))
			read()
		}
		must(0, stdin.Close())
	} else {
		for lines.Scan() {
			must(fmt.Fprintln(stdin, lines.Text()))
		}
		must(0, stdin.Close())
		must(io.Copy(os.Stdout, stdout))
	}
	sidecar.Wait()
	fmt.Println(sidecar.ProcessState.ExitCode())
}
