"""A web server on this computer that can misbehave on demand."""

import contextlib
import hashlib
import re
import socket
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer; faults of a file are used up one a request.

    Attributes
    ----------
    status : int or None
        Answer with this status and no file.
    headers : dict
        Sent along with `status`.
    cut_after : int or None
        Send the headers of the whole answer, this many bytes of its body, and hang up.
    body : bytes or None
        Send this in place of the file.
    wait_s : float
        Answer only after this long.
    put_after : bytes or None
        Replace the file by this once the answer is out.
    """

    status: int | None = None
    headers: dict = field(default_factory=dict)
    cut_after: int | None = None
    body: bytes | None = None
    wait_s: float = 0.0
    put_after: bytes | None = None


class FaultyServer(ThreadingHTTPServer):
    """Serves `files` (path without first slash -> bytes) over HTTP/1.1 with ranges and ETags.

    Attributes
    ----------
    files, faults : dict
        Bytes, and a list of `Fault`, by path.
    has_ranges, heeds_if_range, has_head, has_etag : bool
        What the server is able to do.
    seen : list of (method, path, headers)
        The requests so far.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.daemon_threads = False
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.has_ranges = self.heeds_if_range = self.has_head = self.has_etag = True
        self.content_type = "application/octet-stream"
        self.seen: list[tuple] = []
        self.sent_bytes = self.busy = self.most_busy = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self._connections: set = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def asked(self, path: str) -> int:
        return sum(1 for _, seen, _ in self.seen if seen == path)

    def process_request(self, request, client_address):
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        """Clients that hang up are part of the game."""

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):  # the client may have hung up in the meantime
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(with_body=False)

    def do_GET(self):
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        server, path = self.server, self.path.lstrip("/")
        with server.lock:
            server.seen.append((self.command, path, dict(self.headers)))
            fault = server.faults[path].pop(0) if server.faults[path] else Fault()
            server.busy += 1
            server.most_busy = max(server.most_busy, server.busy)
        try:
            server.stopping.wait(fault.wait_s)
            self._send(path, fault, with_body)
        finally:
            with server.lock:
                server.busy -= 1
        if fault.put_after is not None:
            server.files[path] = fault.put_after

    def _send(self, path: str, fault: Fault, with_body: bool) -> None:
        server = self.server
        whole = server.files.get(path) if fault.body is None else fault.body
        if fault.status or whole is None or not (with_body or server.has_head):
            status = fault.status or (404 if whole is None else 501)
            self._headers(status, {"Content-Length": "0", **fault.headers})
            return
        etag = f'"{hashlib.md5(whole).hexdigest()}"'
        headers = {"ETag": etag} if server.has_etag else {}
        status, body = 200, whole
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        same = not server.heeds_if_range or self.headers.get("If-Range", etag) == etag
        if wanted and server.has_ranges and same:
            start, stop = int(wanted[1]), int(wanted[2] or len(whole) - 1) + 1
            if start >= len(whole):
                self._headers(416, {"Content-Length": "0"})
                return
            status, body = 206, whole[start:stop]
            headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{len(whole)}"
        if with_body:
            # Counted before anything goes out: a client may be content with the headers, and a test
            # looks as soon as the client is.
            with server.lock:
                server.sent_bytes += len(body[: fault.cut_after])
        self._headers(
            status,
            {"Content-Length": str(len(body)), "Content-Type": server.content_type, **headers},
        )
        if with_body:
            self.wfile.write(body[: fault.cut_after])
            if fault.cut_after is not None:
                self.close_connection = True

    def _headers(self, status: int, headers: dict) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
