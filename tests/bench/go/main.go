// A peer: POST calls/start and realtime/token as net/http would serve them, on a Unix socket.
package main

import (
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

func setting(name string) string {
	value := os.Getenv(name)
	if value == "" {
		log.Fatalf("%s is not set", name)
	}
	return value
}

func main() {
	requestLog, err := os.OpenFile(setting("BENCH_LOG"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	calls, err := openCalls(setting("BENCH_DB"))
	if err != nil {
		log.Fatal(err)
	}
	secrets, err := openSecrets(os.Getenv("BENCH_UPSTREAM"), os.Getenv("BENCH_UPSTREAM_CA"),
		os.Getenv("BENCH_UPSTREAM_KEY"))
	if err != nil {
		log.Fatal(err)
	}
	server := &server{log: requestLog, key: []byte(setting("BENCH_SECRET")), calls: calls,
		secrets: secrets}
	routes := http.NewServeMux()
	routes.HandleFunc("/calls/start", server.route("calls/start", server.start))
	routes.HandleFunc("/realtime/token", server.route("realtime/token", server.token))

	os.Remove(setting("BENCH_SOCKET"))
	listener, err := net.Listen("unix", setting("BENCH_SOCKET"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal((&http.Server{Handler: routes, ReadHeaderTimeout: 10 * time.Second}).Serve(listener))
}
