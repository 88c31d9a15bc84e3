package main

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
)

// cloud answers, over loopback, the few calls to AWS that are made while
// something is measured: items of DynamoDB by their key pk, unconditionally, and
// transactions of DynamoDB and messages for SQS, which it takes and forgets. It
// speaks AWS's JSON protocol, so that what is measured uses the real SDK, and
// answers as fast as a process on the same machine can.
type cloud struct {
	*httptest.Server

	mu       sync.Mutex
	items    map[string]json.RawMessage // by table and key
	requests int                        // to DynamoDB
	messages int                        // to SQS
}

func newCloud() *cloud {
	c := &cloud{items: map[string]json.RawMessage{}}
	c.Server = httptest.NewServer(http.HandlerFunc(c.answer))
	return c
}

// answer serves one call, whose name is in the header X-Amz-Target.
func (c *cloud) answer(w http.ResponseWriter, r *http.Request) {
	service, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var in struct {
		TableName   string
		Key, Item   map[string]json.RawMessage
		MessageBody string
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.HasPrefix(service, "DynamoDB") {
		c.requests++
	}
	var out any
	switch operation {
	case "GetItem":
		out = map[string]json.RawMessage{}
		if item, ok := c.items[in.TableName+string(in.Key["pk"])]; ok {
			out = map[string]json.RawMessage{"Item": item}
		}
	case "PutItem":
		item, err := json.Marshal(in.Item)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.items[in.TableName+string(in.Item["pk"])] = item
		out = struct{}{}
	case "TransactWriteItems", "UpdateItem":
		out = struct{}{}
	case "SendMessage":
		c.messages++
		digest := md5.Sum([]byte(in.MessageBody)) // Which the SDK compares.
		out = map[string]string{"MessageId": strconv.Itoa(c.messages), "MD5OfMessageBody": hex.EncodeToString(digest[:])}
	default:
		http.Error(w, operation+" is not answered here", http.StatusNotImplemented)
		return
	}
	body, err := json.Marshal(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	respond(w, body)
}

// respond answers as AWS's JSON protocol does.
func respond(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	// Which the SDK compares.
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	_, _ = w.Write(body) // a caller that left needs no answer
}

// dynamoDBRequests counts those so far.
func (c *cloud) dynamoDBRequests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

// sqsMessages counts those so far.
func (c *cloud) sqsMessages() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.messages
}

// environment is what the SDK needs to find the cloud, and nothing else.
func (c *cloud) environment() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + c.URL,
		"AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=bench",
		"AWS_SECRET_ACCESS_KEY=bench",
		"AWS_SESSION_TOKEN=",
		"AWS_PROFILE=",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
}
