package main

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The ledger can be brought to rest: then nothing is written, and the file seal
// beside it holds the digest of what it is meanwhile, so that whoever reads a copy
// can tell whether that was made at rest. Writes wait, and are not lost.
const (
	sealFile    = "seal"
	controlFile = "control" // a socket: `writer freeze` and `writer thaw` talk to it
)

// freeze returns when the ledger is at rest. It may be asked for again.
func (l *ledger) freeze() error {
	l.gate.Lock()
	defer l.gate.Unlock()
	if !l.frozen {
		l.mu.Lock()
		l.frozen = true
	}
	return write(filepath.Join(l.dir, sealFile), l.digest())
}

// thaw lets writes go on. It does no harm where nothing is frozen.
func (l *ledger) thaw() error {
	l.gate.Lock()
	defer l.gate.Unlock()
	if !l.frozen {
		return nil
	}
	if err := os.Remove(filepath.Join(l.dir, sealFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.frozen = false
	l.mu.Unlock()
	return nil
}

// digest is that of the lines; the caller holds the ledger.
func (l *ledger) digest() string {
	text := ""
	if len(l.lines) > 0 {
		text = strings.Join(l.lines, "\n") + "\n"
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
}

// unseal ends the rest that a copy was made at, and refuses a copy that is not
// what the seal says.
func (l *ledger) unseal() error {
	file := filepath.Join(l.dir, sealFile)
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if string(b) != l.digest() {
		return errors.New("the ledger is not what it was when it was sealed")
	}
	return os.Remove(file)
}

// write returns when a file is on disk.
func write(name, text string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// control answers `writer freeze` and `writer thaw`, until it is closed. The socket
// is in the folder of the data, which is what they share on every runtime.
func (l *ledger) control() (net.Listener, error) {
	name := filepath.Join(l.dir, controlFile)
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	s, err := net.Listen("unix", name)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return // it was closed
			}
			go l.obey(c)
		}
	}()
	return s, nil
}

func (l *ledger) obey(c net.Conn) {
	defer c.Close()
	word, _ := bufio.NewReader(c).ReadString('\n')
	err := fmt.Errorf("unknown word %q", word)
	switch strings.TrimSpace(word) {
	case "freeze":
		err = l.freeze()
	case "thaw":
		err = l.thaw()
	}
	answer := "done"
	if err != nil {
		answer = err.Error()
	}
	fmt.Fprintln(c, answer) // who asked may have gone
}

// hook is `writer freeze` or `writer thaw`, beside the writer on the same data. A
// second word has it go wrong after it did its work, fail or hang, or ask the writer
// at its port.
func hook(args []string) error {
	if args[0] != "freeze" && args[0] != "thaw" {
		return fmt.Errorf("unknown word %q", args[0])
	}
	c, err := net.Dial("unix", filepath.Join(os.Getenv("DATA"), controlFile))
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Fprintln(c, args[0])
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	if answer = strings.TrimSpace(answer); answer != "done" {
		return errors.New(answer)
	}
	switch strings.Join(args[1:], " ") {
	case "":
		return nil
	case "port":
		res, err := http.Get("http://127.0.0.1:" + os.Getenv("PORT") + "/health")
		if err != nil {
			return err
		}
		return res.Body.Close()
	case "fail":
		return errors.New("told to fail after it")
	case "hang":
		// As a shell that is process 1 would.
		signal.Ignore(syscall.SIGTERM)
		time.Sleep(time.Hour)
	}
	return fmt.Errorf("unknown words %q", args[1:])
}
