package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"regexp"
	"time"
)

const bodyMax = 64 << 10

type server struct {
	log     *os.File
	key     []byte
	calls   *calls
	secrets *secrets
}

// A refusal is an answer that is no success.
type refusal struct {
	status int
	code   string
}

func (r refusal) Error() string { return r.code }

// What every answer has beside its own members.
type envelope struct {
	Success bool   `json:"success"`
	TraceID string `json:"traceId"`
}

type failure struct {
	envelope
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

type logLine struct {
	TS         string `json:"ts"`
	Level      string `json:"level"`
	Event      string `json:"event"`
	Endpoint   string `json:"endpoint"`
	TraceID    string `json:"traceId"`
	Method     string `json:"method"`
	Status     int    `json:"status"`
	DurationUs int64  `json:"durationUs"`
}

func rfc3339(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

func randomHex(bytes int) string {
	random := make([]byte, bytes)
	if _, err := rand.Read(random); err != nil {
		log.Fatal(err)
	}
	return hex.EncodeToString(random)
}

type handler func(request *http.Request, user string, base envelope) (int, any, error)

// route wraps handler in what every request takes: method, token, user, answer, log line.
func (s *server) route(endpoint string, handle handler) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		started := time.Now()
		trace := randomHex(16)
		status, answer, err := s.handled(request, handle, envelope{true, trace})
		if err != nil {
			status, answer = failed(err, trace)
		}
		body, err := json.Marshal(answer)
		if err != nil {
			log.Print(err)
		}
		response.Header().Set("Content-Type", "application/json")
		response.WriteHeader(status)
		response.Write(body)
		line, _ := json.Marshal(logLine{rfc3339(time.Now()), "info", "request", endpoint, trace,
			request.Method, status, time.Since(started).Microseconds()})
		s.log.Write(append(line, '\n'))
	}
}

func (s *server) handled(request *http.Request, handle handler, base envelope) (int, any, error) {
	if request.Method != http.MethodPost {
		return 0, nil, refusal{http.StatusMethodNotAllowed, "method_not_allowed"}
	}
	user, err := subject(request.Header.Get("Authorization"), s.key)
	if err != nil {
		return 0, nil, err
	}
	if err := s.calls.knows(user); err != nil {
		return 0, nil, err
	}
	return handle(request, user, base)
}

func failed(err error, trace string) (int, any) {
	refused, known := err.(refusal)
	if !known {
		log.Print(err)
		refused = refusal{http.StatusServiceUnavailable, "unavailable"}
	}
	answer := failure{envelope: envelope{false, trace}}
	answer.Error.Code, answer.Error.Message = refused.code, refused.code
	return refused.status, answer
}

// input decodes the one JSON object of a body, without members that into lacks.
func input(request *http.Request, into any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(nil, request.Body, bodyMax))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return refusal{http.StatusBadRequest, "validation_failed"}
	}
	return nil
}

type startInput struct {
	ThreadID string `json:"threadId"`
	Kind     string `json:"kind"`
}

var threadID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (s *server) start(request *http.Request, user string, base envelope) (int, any, error) {
	var in startInput
	if err := input(request, &in); err != nil {
		return 0, nil, err
	}
	if !threadID.MatchString(in.ThreadID) || (in.Kind != "audio" && in.Kind != "video") {
		return 0, nil, refusal{http.StatusBadRequest, "validation_failed"}
	}
	opened, created, err := s.calls.start(in.ThreadID, in.Kind, user)
	if err != nil {
		return 0, nil, err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return status, struct {
		envelope
		Call    *call `json:"call"`
		Created bool  `json:"created"`
	}{base, opened, created}, nil
}

func (s *server) token(request *http.Request, user string, base envelope) (int, any, error) {
	hash := sha256.Sum256([]byte(user))
	minted, err := s.secrets.mint(request.Context(), hex.EncodeToString(hash[:]))
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, struct {
		envelope
		*secret
	}{base, minted}, nil
}
