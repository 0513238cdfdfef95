"""The gateway by HTTPS: whose certificate it shows, and that a connection by TLS is as good as any."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.emulator.gateway import tls
from sandbox.emulator.gateway.authority import Authority, Certificates, covered_by, open_authority
from sandbox.emulator.gateway.requests import HttpRequest

HOST = "sqs.eu-north-1.amazonaws.com"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return open_authority(tmp_path_factory.mktemp("home"))


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("X-Scheme", environ["wsgi.url_scheme"]), ("Content-Length", str(len(body)))])
    return [body]


@pytest.fixture
def serve(authority: Authority) -> Iterator[Callable[[Any], int]]:
    closing = []

    def begin(app: Any) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        server = tls.serve(app, listener, Certificates(authority).server())
        closing.extend([server, listener])
        return int(listener.getsockname()[1])

    yield begin
    for each in closing:
        each.close()


def trusting(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.trust / "ssl/certs/ca-certificates.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def call(port: int, authority: Authority, host: str = HOST) -> ssl.SSLSocket:
    stream = socket.create_connection(("127.0.0.1", port), 10)
    try:
        return trusting(authority).wrap_socket(stream, server_hostname=host)
    except ssl.SSLError:
        stream.close()
        raise


class Connection(http.client.HTTPSConnection):
    def __init__(self, port: int, authority: Authority) -> None:
        super().__init__(HOST, context=trusting(authority), timeout=20)
        self._at = port, authority

    def connect(self) -> None:
        self.sock = call(*self._at)


COVERED = {
    "sqs.eu-north-1.amazonaws.com": "eu-north-1.amazonaws.com",
    "sts.amazonaws.com": "amazonaws.com",
    "orders.s3.eu-north-1.amazonaws.com": "s3.eu-north-1.amazonaws.com",
    "orders.s3.dualstack.eu-north-1.amazonaws.com": "s3.dualstack.eu-north-1.amazonaws.com",
    "a.b.s3.eu-north-1.amazonaws.com": "s3.eu-north-1.amazonaws.com",
    "orders.s3-fips.us-east-1.amazonaws.com": "s3-fips.us-east-1.amazonaws.com",
    "orders.s3.amazonaws.com": "s3.amazonaws.com",
    "a1b2.execute-api.eu-north-1.amazonaws.com": "execute-api.eu-north-1.amazonaws.com",
    "a1b2.lambda-url.eu-north-1.on.aws": "lambda-url.eu-north-1.on.aws",
    "123456789012.ddb.eu-north-1.amazonaws.com": "ddb.eu-north-1.amazonaws.com",
}


@pytest.mark.parametrize("host", COVERED)
def test_a_certificate_is_for_a_domain_and_what_is_right_below_it(host: str) -> None:
    assert covered_by(host.upper()) == (f"*.{COVERED[host]}", COVERED[host])


@pytest.mark.parametrize("host", [*(host for host in COVERED if not host.startswith("a.b")), "127.0.0.1"])
def test_the_name_that_was_called_is_in_the_certificate(
    serve: Callable[[Any], int], authority: Authority, host: str
) -> None:
    with call(serve(echo), authority, host) as stream:
        assert stream.version() == "TLSv1.3"
        assert stream.selected_alpn_protocol() is None


@pytest.mark.parametrize("host", ["a.b.s3.eu-north-1.amazonaws.com", "example.com", "127.0.0.2"])
def test_no_certificate_is_for_other_names_or_for_a_bucket_with_a_dot(
    serve: Callable[[Any], int], authority: Authority, host: str
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch"):
        call(serve(echo), authority, host)


def test_other_names_have_a_certificate_while_the_account_answers_for_them(authority: Authority) -> None:
    own = {"tickets.example.com", "*.example.com", "a..b", "x" * 64 + ".example.com"}
    listener = socket.create_server(("127.0.0.1", 0))
    server = tls.serve(echo, listener, Certificates(authority, own.__contains__).server())
    port = int(listener.getsockname()[1])
    try:
        with call(port, authority, "tickets.example.com") as stream:
            shown = stream.getpeercert() or {}
        assert shown["subjectAltName"] == (("DNS", "tickets.example.com"),)
        for host in ("example.com", "a.tickets.example.com", "x" * 63 + ".example.com"):
            with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
                call(port, authority, host)
        own.clear()
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            call(port, authority, "tickets.example.com")
    finally:
        server.close()
        listener.close()


def test_the_authority_vouches_for_no_other_machine(authority: Authority) -> None:
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate((authority.place / "certificate.pem").read_bytes())
    limits = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical
    assert limits.value.permitted_subtrees is not None
    allowed = {str(each.value) for each in limits.value.permitted_subtrees}
    assert allowed == {"127.0.0.1/32"}


def test_it_is_made_once_and_its_key_is_the_owners_alone(tmp_path: Path) -> None:
    made = []
    threads = [threading.Thread(target=lambda: made.append(open_authority(tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["authority-2"]
    assert made[0].place.stat().st_mode & 0o777 == 0o700
    assert (made[0].place / "key.pem").stat().st_mode & 0o777 == 0o600
    shown = [path for path in made[0].trust.rglob("*") if path.is_file()]
    assert shown
    assert not [path for path in shown if b"PRIVATE" in path.read_bytes()]


def test_large_bodies_pass_both_ways_and_a_connection_is_kept(
    serve: Callable[[Any], int], authority: Authority
) -> None:
    connection = Connection(serve(echo), authority)
    for size in (0, 1, 16 * 1024, 16 * 1024 + 1, 5_000_000):
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        connection.request("POST", "/", body)
        answer = connection.getresponse()
        assert answer.headers["X-Scheme"] == "https"
        assert answer.read() == body
    connection.close()


def test_a_stream_arrives_as_it_is_made(serve: Callable[[Any], int], authority: Authority) -> None:
    go_on = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"first"
        assert go_on.wait(20)
        yield b"second"

    connection = Connection(serve(app), authority)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert answer.read(5) == b"first"
    go_on.set()
    assert answer.read() == b"second"
    connection.close()


def test_what_is_no_tls_is_hung_up_on_and_the_next_is_served(
    serve: Callable[[Any], int], authority: Authority
) -> None:
    port = serve(echo)
    for rubbish in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(600)):
        with socket.create_connection(("127.0.0.1", port), 10) as stream:
            stream.sendall(rubbish)
            with contextlib.suppress(ConnectionResetError):  # Not all of it was read.
                while stream.recv(4096):  # At most an alert.
                    continue
    begun = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(20)]
    for stream in begun:
        stream.send(b"\x16\x03\x01")
    connection = Connection(port, authority)
    connection.request("POST", "/", b"served")
    assert connection.getresponse().read() == b"served"
    connection.close()
    for stream in begun:
        stream.close()


BUCKET_HOSTS = {
    "orders.s3.amazonaws.com": "/orders/k",
    "orders.s3.eu-north-1.amazonaws.com": "/orders/k",
    "orders.s3-eu-west-1.amazonaws.com": "/orders/k",
    "orders.s3.dualstack.eu-north-1.amazonaws.com": "/orders/k",
    "orders.s3-fips.us-east-1.amazonaws.com": "/orders/k",
    "orders.s3-fips.dualstack.us-east-1.amazonaws.com": "/orders/k",
    "orders.s3-accelerate.amazonaws.com": "/orders/k",
    "my.orders.s3.eu-north-1.amazonaws.com": "/my.orders/k",
    "s3.eu-north-1.amazonaws.com": "/k",
    "s3.dualstack.eu-north-1.amazonaws.com": "/k",
    "s3-fips.us-east-1.amazonaws.com": "/k",
    "sqs.eu-north-1.amazonaws.com": "/k",
}


@pytest.mark.parametrize("host", BUCKET_HOSTS)
def test_a_bucket_is_found_in_every_form_of_its_host(host: str) -> None:
    request = HttpRequest("GET", "/k", "", {"host": host}, b"")
    assert request.path_style().path == BUCKET_HOSTS[host]
