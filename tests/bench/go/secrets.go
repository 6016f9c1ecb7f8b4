package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"time"
)

const (
	upstreamConnectionsMax = 32
	answerMax              = 64 << 10
	sessionMaxS            = 600

	mintBody = `{"expires_after":{"anchor":"created_at","seconds":60},"session":{"type":"realtime",` +
		`"model":"gpt-realtime-2.1-mini","output_modalities":["audio"],"audio":{` +
		`"input":{"transcription":{"model":"gpt-transcribe"},"turn_detection":null},` +
		`"output":{"voice":"marin"}}}}`
)

// Client secrets from the provider, over kept TLS connections.
type secrets struct {
	client *http.Client
	base   string
	key    string
}

type session struct {
	ID    string `json:"id"`
	Model string `json:"model"`
}

type secret struct {
	ClientSecret string  `json:"client_secret"`
	ExpiresAt    int64   `json:"expires_at"`
	Session      session `json:"session"`
	URL          string  `json:"url"`
	SessionMaxS  int64   `json:"maxSessionSeconds"`
	ServerTime   string  `json:"serverTime"`
}

// openSecrets reads the provider's certificate from caFile. Without base nothing can be minted.
func openSecrets(base, caFile, key string) (*secrets, error) {
	if base == "" {
		return &secrets{}, nil
	}
	certificate, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots},
		MaxConnsPerHost:     upstreamConnectionsMax,
		MaxIdleConnsPerHost: upstreamConnectionsMax,
	}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	return &secrets{client, base, key}, nil
}

func (s *secrets) mint(ctx context.Context, safetyID string) (*secret, error) {
	if s.client == nil {
		return nil, refusal{http.StatusServiceUnavailable, "misconfigured"}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost,
		s.base+"/realtime/client_secrets", bytes.NewReader([]byte(mintBody)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+s.key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("OpenAI-Safety-Identifier", safetyID)
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Value     string  `json:"value"`
		ExpiresAt int64   `json:"expires_at"`
		Session   session `json:"session"`
	}
	err = json.NewDecoder(http.MaxBytesReader(nil, response.Body, answerMax)).Decode(&answer)
	if err != nil || response.StatusCode != http.StatusOK || answer.Value == "" {
		return nil, refusal{http.StatusBadGateway, "upstream_error"}
	}
	return &secret{answer.Value, answer.ExpiresAt, answer.Session, s.base + "/realtime/calls",
		sessionMaxS, rfc3339(time.Now())}, nil
}
