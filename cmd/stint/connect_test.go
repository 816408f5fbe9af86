package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// child marks a process of the test binary that is the program.
const child = "STINT_CLI_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) == "1" {
		main()
	}
	os.Exit(m.Run())
}

// program is the program as a process of its own.
func program(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), append(env, child+"=1", "STINT_QUEUE=media")...)
	return c
}

func TestBySentinel(t *testing.T) {
	t.Parallel()
	addr, primary, _ := redistest.Sentinels(t)
	s := newShell(t, primary.Client())
	s.url = "redis+sentinel://" + addr + "?master_name=" + redistest.SentinelName
	s.ok("submit", "thumb", "--name", "film")
	require.Contains(t, s.ok("jobs"), "film")
	n, err := stint.NewQueue("media", primary.Client()).Count(t.Context(), stint.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, n, "it is on the primary")
	require.Contains(t, s.code(exitFindings, "doctor"), "replica")
	s.url = "redis+sentinel://" + addr
	require.Contains(t, s.code(exitUsage, "jobs"), "--redis: the parameter master_name is missing")
	s.url = "redis+sentinel://" + addr + "?master_name=other"
	s.code(exitError, "jobs")
}

func TestByTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	redistest.Start(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no")

	do := func(env, url string, args ...string) (code int, out string) {
		c := program(t, []string{env, "REDIS_URL=" + url}, args...)
		data, _ := c.CombinedOutput() // the exit code tells
		return c.ProcessState.ExitCode(), string(data)
	}
	trusted, url := "SSL_CERT_FILE="+cert, "rediss://"+addr
	code, out := do(trusted, url, "submit", "thumb", "--name", "film")
	require.Zero(t, code, out)
	require.Equal(t, "job/film submitted\n", out)
	code, out = do("SSL_CERT_FILE=", url, "jobs", "-o", "name")
	require.Equal(t, exitError, code, out)
	require.Contains(t, out, "certificate")
	code, out = do("SSL_CERT_FILE=", url+"?skip_verify=true", "jobs", "-o", "name")
	require.Zero(t, code, out)
	require.Equal(t, "job/film\n", out)
	code, out = do(trusted, "redis://"+addr, "jobs")
	require.Equal(t, exitError, code, "no TLS where it is wanted: %s", out)
}

// certificate writes a certificate of 127.0.0.1 that vouches for itself, and
// its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stint test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &private.PublicKey, private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600))
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
}

// With keys, what is submitted is encrypted, and still the same job as the one
// that an application submits.
func TestSubmitEncrypts(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		secret := []byte(strings.Repeat("x", 32))
		s := newShell(t, rdb)
		s.env["STINT_KEYS"] = "k1:" + base64.StdEncoding.EncodeToString(secret)
		plain := stint.NewQueue("media", rdb)
		q := stint.NewQueue("media", rdb, stint.QueueConfig{Keys: []stint.Key{{ID: "k1", Secret: stint.NewSecretValue(secret)}}, EncryptJobs: true})
		s.ok("submit", "thumb", "--name", "film", "--args", `{"album":"private"}`)
		seen, err := plain.Get(t.Context(), "film")
		require.NoError(t, err)
		require.True(t, seen.Encrypted)
		require.Empty(t, seen.Args, "without keys nobody reads it")
		job, err := q.Get(t.Context(), "film")
		require.NoError(t, err)
		require.JSONEq(t, `{"album":"private"}`, string(job.Args))
		_, err = q.Submit(t.Context(), thumb{"private"}, stint.JobSpec{Name: "film"})
		require.NoError(t, err, "the same job")
		_, err = q.Submit(t.Context(), thumb{"other"}, stint.JobSpec{Name: "film"})
		require.ErrorIs(t, err, stint.ErrExists)
		require.Contains(t, s.ok("describe", "film"), "private")
		manifest := s.ok("get", "film", "-o", "yaml")
		require.Contains(t, manifest, "private")
		s.in = strings.Replace(manifest, "name: film", "name: copy", 1)
		require.Contains(t, s.ok("apply", "-f", "-"), "job/copy created")
		seen, err = plain.Get(t.Context(), "copy")
		require.NoError(t, err)
		require.True(t, seen.Encrypted)
		s.env["STINT_KEYS"] = ""
		require.NotContains(t, s.ok("describe", "film"), "private")
	})
}
