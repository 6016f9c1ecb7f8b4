package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

const skew = 5 * time.Second

type claims struct {
	Sub string `json:"sub"`
	Exp int64  `json:"exp"`
	Nbf int64  `json:"nbf"`
	Iat int64  `json:"iat"`
}

// decoded is whether part is base64url of JSON that fits into.
func decoded(part string, into any) bool {
	text, err := base64.RawURLEncoding.Strict().DecodeString(part)
	return err == nil && json.Unmarshal(text, into) == nil
}

func verified(token string, key []byte, into *claims) bool {
	parts := strings.Split(token, ".")
	var header struct {
		Alg string `json:"alg"`
	}
	if len(parts) != 3 || !decoded(parts[0], &header) || header.Alg != "HS256" {
		return false
	}
	given, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(token[:len(parts[0])+1+len(parts[1])]))
	return err == nil && hmac.Equal(mac.Sum(nil), given) && decoded(parts[1], into)
}

// subject is the sub of an Authorization header's token: HS256, exp, nbf and iat with skew.
func subject(authorization string, key []byte) (string, error) {
	var found claims
	if !verified(strings.TrimPrefix(authorization, "Bearer "), key, &found) {
		return "", refusal{http.StatusUnauthorized, "unauthenticated"}
	}
	now := time.Now()
	early, late := now.Add(-skew).Unix(), now.Add(skew).Unix()
	if found.Sub == "" || found.Exp <= early || found.Nbf > late || found.Iat > late {
		return "", refusal{http.StatusUnauthorized, "unauthenticated"}
	}
	return found.Sub, nil
}
