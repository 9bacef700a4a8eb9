// Sends lines as programs in Go do:
//
//	go-sender syslog NETWORK ADDRESS TAG TEXT
//	go-sender forward ADDRESS KEY CA COUNT WORD
//
// By syslog it is one line. Of the forward protocol over TLS it sends COUNT events, each again until it is answered.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"log/syslog"
	"os"
	"strconv"
	"time"

	"github.com/IBM/fluent-forward-go/fluent/client"
	"github.com/IBM/fluent-forward-go/fluent/protocol"
)

func main() {
	var err error
	switch args := os.Args[2:]; os.Args[1] {
	case "syslog":
		err = sendSyslog(args[0], args[1], args[2], args[3])
	case "forward":
		err = forward(args[0], args[1], args[2], args[3], args[4])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func sendSyslog(network, address, tag, text string) error {
	writer, err := syslog.Dial(network, address, syslog.LOG_LOCAL0|syslog.LOG_WARNING, tag)
	if err != nil {
		return err
	}
	defer writer.Close()
	return writer.Warning(text)
}

func forward(address, key, ca, count, word string) error {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	events, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	sender := client.New(client.ConnectionOptions{
		Factory: &client.ConnFactory{
			Network: "tcp", Address: address, TLSConfig: &tls.Config{RootCAs: roots}, Timeout: 5 * time.Second,
		},
		RequireAck:        true,
		ConnectionTimeout: 5 * time.Second,
		AuthInfo:          client.AuthInfo{SharedKey: []byte(key)},
	})
	connected := connect(sender)
	for n := 0; n < events; {
		if !connected {
			time.Sleep(50 * time.Millisecond)
			_ = sender.Disconnect()
			connected = connect(sender)
			continue
		}
		entries := protocol.EntryList{{
			Timestamp: protocol.EventTimeNow(),
			Record:    map[string]string{"log": fmt.Sprintf("%s line %d", word, n)},
		}}
		if err := sender.SendPacked("go.sender", entries); err != nil {
			fmt.Printf("again: %v\n", err)
			connected = false
			continue
		}
		if n == 0 {
			fmt.Println("answered")
		}
		n++
		time.Sleep(2 * time.Millisecond)
	}
	return sender.Disconnect()
}

// An end of the connection within the handshake is an end as any other; a wrong key is one too.
func connect(sender *client.Client) bool {
	if err := sender.Connect(); err != nil {
		fmt.Printf("no connection: %v\n", err)
		return false
	}
	if err := sender.Handshake(); err != nil {
		fmt.Printf("no handshake: %v\n", err)
		return false
	}
	return true
}
