// The small scraper: sends what was not sent before. Its arguments are the sidecar's command: go run ./scraper sidecar
package main

import (
	"fmt"
	"os"

	"sidecar"
)

func main() {
	command := os.Args[1:]
	if len(command) == 0 {
		command = []string{"sidecar"}
	}
	child, err := sidecar.Spawn(nil, command...)
	check(err)
	user := map[string]string{"username": "demo", "password": "demo"}
	mock := map[string]any{"secrets": map[string]any{"user": user}}
	check(child.Request("set_mock", mock, nil)) // or set_credentials
	check(child.Request("get_user_secret", map[string]string{"encryption_key": "any, in mock mode"}, &user))
	fmt.Printf("scraping as %s\n", user["username"])
	for _, reference := range []string{"cv-1", "cv-2", "cv-1"} {
		var known, matched bool
		check(child.Request("has_cached_reference", reference, &known))
		if known {
			fmt.Printf("%s: was sent before\n", reference)
			continue
		}
		cv := map[string]string{"referenceNumber": reference, "title": "Something scraped"}
		check(child.Request("send_cv", cv, &matched))
		check(child.Request("set_cached_reference", reference, nil))
		fmt.Printf("%s: sent, %s\n", reference, map[bool]string{true: "matched", false: "no match"}[matched])
	}
	os.Exit(child.Close())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
