"""A server on this machine that behaves as servers do, and archives for it."""

from __future__ import annotations

import io
import tarfile
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pysteps.prepare.fetch import File

DATA = bytes(range(256)) * 8  # 2,048 bytes


class Server:
    """``files`` by path; ``asked``: (path, Range) of every request. ``break_after``: bytes after which an
    answer ends early, a number each; ``codes``: those of the first answers; ``ranges``: knows Range."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"/a.bin": DATA}
        self.asked: list[tuple[str, str]] = []
        self.break_after: list[int] = []
        self.codes: list[int] = []
        self.ranges = True
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:  # noqa: N802 (http.server's name)
                server.answer(self)

            def do_HEAD(self) -> None:  # noqa: N802
                server.asked.append((self.path, "HEAD"))
                self.send_response(200 if self.path in server.files else 404)
                self.send_header("Content-Length", str(len(server.files.get(self.path, b""))))
                self.end_headers()

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        serve = partial(self._http.serve_forever, poll_interval=0.01)
        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range", "")
        self.asked.append((request.path, wanted))
        code = self.codes.pop(0) if self.codes else 200
        if code != 200 or request.path not in self.files:
            request.send_error(code if code != 200 else 404)
            return
        body = self.files[request.path]
        start = int(wanted[6:-1]) if wanted and self.ranges else 0
        if start >= len(body) > 0:
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(body)}")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        count = self.break_after.pop(0) if self.break_after else len(body)
        request.wfile.write(body[start : start + count])

    def file(self, name: str = "a.bin", **more: object) -> File:
        port = self._http.server_address[1]
        return File(name, (f"http://127.0.0.1:{port}/{name}",), **more)  # type: ignore[arg-type]

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def tar(files: dict[str, bytes], link: tuple[str, str] | None = None) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as archive:
        for name, body in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
        if link:
            entry = tarfile.TarInfo(link[0])
            entry.type, entry.linkname = tarfile.SYMTYPE, link[1]
            archive.addfile(entry)
    return memory.getvalue()
