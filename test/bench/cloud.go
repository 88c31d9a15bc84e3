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

// cloud is a stand-in, on loopback, for the few calls to AWS that the
// benchmarks make. It stores items of DynamoDB by their key pk without
// conditions, and accepts and discards transactions of DynamoDB and messages
// for SQS. It speaks AWS's JSON protocol, so the measured code uses the real
// SDK, and responds as fast as a process on the same machine can.
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

// answer serves one call. Its name is in the header X-Amz-Target.
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
		digest := md5.Sum([]byte(in.MessageBody)) // the SDK compares it
		out = map[string]string{"MessageId": strconv.Itoa(c.messages), "MD5OfMessageBody": hex.EncodeToString(digest[:])}
	default:
		http.Error(w, "the benchmark calls no "+operation, http.StatusBadRequest)
		return
	}
	body, err := json.Marshal(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	respond(w, body)
}

// respond sends a response in AWS's JSON protocol.
func respond(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	// The SDK compares the checksum.
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	_, _ = w.Write(body) // the client may have disconnected
}

// dynamoDBRequests returns how many requests to DynamoDB there were.
func (c *cloud) dynamoDBRequests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

// sqsMessages returns how many messages to SQS there were.
func (c *cloud) sqsMessages() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.messages
}

// setEnvironment makes the SDK of this process call the cloud.
func (c *cloud) setEnvironment() error {
	for _, variable := range c.environment() {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

// environment returns the variables with which the SDK calls the cloud.
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
