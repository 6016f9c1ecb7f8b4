// The provider as the bench needs it: POST /v1/realtime/client_secrets over TLS, at once. It takes
// two things less than tests/upstreams/openai.mjs does, which holds the contract: CPU time, and
// room for what it was asked.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

const bodyMax = 64 << 10

// The request's members that a session of voice needs; any other is refused.
type body struct {
	ExpiresAfter struct {
		Anchor  string `json:"anchor"`
		Seconds int64  `json:"seconds"`
	} `json:"expires_after"`
	Session session `json:"session"`
}

type session struct {
	Object           string          `json:"object,omitempty"`
	ID               string          `json:"id,omitempty"`
	Type             string          `json:"type"`
	Model            string          `json:"model"`
	Instructions     string          `json:"instructions,omitempty"`
	OutputModalities []string        `json:"output_modalities"`
	Audio            json.RawMessage `json:"audio"`
}

type secret struct {
	Value     string  `json:"value"`
	ExpiresAt int64   `json:"expires_at"`
	Session   session `json:"session"`
}

func randomHex(bytes int) string {
	random := make([]byte, bytes)
	if _, err := rand.Read(random); err != nil {
		log.Fatal(err)
	}
	return hex.EncodeToString(random)
}

func (b *body) sound() bool {
	s := &b.Session
	return b.ExpiresAfter.Anchor == "created_at" && b.ExpiresAfter.Seconds >= 10 &&
		b.ExpiresAfter.Seconds <= 7200 && s.Object == "" && s.ID == "" && s.Type == "realtime" &&
		strings.HasPrefix(s.Model, "gpt-realtime-") && len(s.OutputModalities) == 1 &&
		len(s.Audio) > 0
}

func mint(key string) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		header := request.Header
		response.Header().Set("Content-Type", "application/json")
		if request.Method != http.MethodPost || header.Get("Authorization") != "Bearer "+key ||
			header.Get("Content-Type") != "application/json" ||
			len(header.Get("OpenAI-Safety-Identifier")) < 16 {
			http.Error(response, `{"error":{"message":"the head"}}`, http.StatusUnauthorized)
			return
		}
		var asked body
		decoder := json.NewDecoder(http.MaxBytesReader(response, request.Body, bodyMax))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&asked); err != nil || !asked.sound() {
			http.Error(response, `{"error":{"message":"the body"}}`, http.StatusBadRequest)
			return
		}
		asked.Session.Object, asked.Session.ID = "realtime.session", "sess_"+randomHex(12)
		json.NewEncoder(response).Encode(secret{"ek_" + randomHex(16),
			time.Now().Unix() + asked.ExpiresAfter.Seconds, asked.Session})
	}
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: standin ADDRESS CERTIFICATE KEY; the key that is asked for is BENCH_UPSTREAM_KEY")
	}
	http.HandleFunc("/v1/realtime/client_secrets", mint(os.Getenv("BENCH_UPSTREAM_KEY")))
	log.Fatal(http.ListenAndServeTLS(os.Args[1], os.Args[2], os.Args[3], nil))
}
