package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// startWithin is how long a server may take until it is ready, on a machine
// that is busy with other tests.
const startWithin = 30 * time.Second

// errEnded is a server that ended instead of becoming ready.
var errEnded = errors.New("the server has ended")

// process is one run of a redis-server.
type process struct {
	cmd  *exec.Cmd
	log  *serverLog
	exit chan struct{} // closed when it has ended
}

// run starts a server and waits until it is ready.
func run(bin string, args []string) (*process, error) {
	p := &process{cmd: exec.Command(bin, args...), log: newServerLog(), exit: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.WaitDelay = time.Second // a child that saves has the log open, and may outlive a killed server
	dieWithParent(p.cmd)
	started := make(chan error)
	go p.own(started)
	if err := <-started; err != nil {
		return nil, err
	}
	timeout := time.NewTimer(startWithin)
	defer timeout.Stop()
	select {
	case <-p.log.ready:
		return p, nil
	case <-p.exit:
		return nil, fmt.Errorf("%w: %s", errEnded, p.log)
	case <-timeout.C:
		p.kill()
		return nil, fmt.Errorf("the server is not ready after %v: %s", startWithin, p.log)
	}
}

// own starts the process and waits for its end, on one thread all the time:
// Linux kills it when the thread that started it is gone.
func (p *process) own(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait() // however it ended, it has
		close(p.exit)
	}
}

// kill ends the process as a crash would, and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails when it has ended already
	<-p.exit
}

// runOnFreePort starts a server on a port that nobody has, and answers the
// port too. Another process may take the port first; then it takes another.
func runOnFreePort(bin string, args []string) (p *process, port string, err error) {
	for range 20 {
		if port, err = freePort(); err != nil {
			continue
		}
		p, err = run(bin, append([]string{"--port", port}, args...))
		if !errors.Is(err, errEnded) {
			return p, port, err
		}
	}
	return nil, "", err
}

// freePort finds a port that nobody listens on, outside the range from which
// systems give ports to outgoing connections: nobody takes it while a server
// is down.
func freePort() (string, error) {
	port := strconv.Itoa(10_000 + rand.IntN(20_000))
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return "", err
	}
	return port, l.Close()
}

// serverLog keeps the end of what a server logs, and sees when it is ready.
type serverLog struct {
	mu    sync.Mutex
	text  []byte
	ready chan struct{} // closed when it is
	seen  bool          // ready is closed
}

// maxLog is how many bytes are kept.
const maxLog = 16 << 10

func newServerLog() *serverLog { return &serverLog{ready: make(chan struct{})} }

func (l *serverLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	if !l.seen && bytes.Contains(l.text, []byte("Ready to accept connections")) {
		l.seen = true
		close(l.ready)
	}
	if over := len(l.text) - maxLog; over > 0 {
		l.text = l.text[over:]
	}
	return len(b), nil
}

func (l *serverLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
