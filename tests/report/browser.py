"""A page in headless Chromium: a file is opened; scripts, keys and pictures come and go over the browser's own pipe."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS = 60.0
PLACED = "import os, sys; a = sys.argv; os.dup2(int(a[1]), 3); os.dup2(int(a[2]), 4); os.execv(a[3], a[3:])"
KEYS = {"Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13}


def program() -> str | None:
    """The browser of this machine, if there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page. `errors`: what the page wrote to the console as errors, exceptions and refusals of the policy among them."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = send, receive
        self._buffer, self._count, self._session = b"", 0, ""
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the DevTools protocol, and its answer."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        number = self._count
        while True:
            found = self._read()
            if found.get("id") == number:
                assert "error" not in found, found
                result: dict[str, Any] = found["result"]
                return result
            self._note(found)

    def close(self) -> None:
        """Ends the browser."""
        os.write(self._send, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")

    def open(self, path: Path) -> None:
        """Loads a file and waits until its images are there."""
        self.call("Page.navigate", url=path.as_uri())
        end = time.monotonic() + SECONDS
        while self.value("document.readyState") != "complete":
            assert time.monotonic() < end, "the page does not load"
        self.value("Promise.all([...document.images].map((i) => i.decode())).then(() => true)")
        self.value("new Promise((r) => setTimeout(() => r(true), 50))")

    def value(self, script: str) -> Any:
        """What a script comes to, a promise awaited."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def press(self, key: str) -> None:
        """A key, down and up."""
        facts = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        self.call("Input.dispatchKeyEvent", type="rawKeyDown", **facts)
        self.call("Input.dispatchKeyEvent", type="keyUp", **facts)

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def scheme(self, name: str) -> None:
        """light or dark, as the system would say."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def picture(self, path: Path, clip: Mapping[str, float] | None = None) -> None:
        """The whole page, or a part of it, as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        part = clip or {"x": 0, "y": 0, "width": size["width"], "height": size["height"]}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip={**part, "scale": 1})
        path.write_bytes(base64.b64decode(shot["data"]))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._receive, 1 << 20)
            assert more, "the browser has gone"
            self._buffer += more
        text, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(text)
        return found

    def _note(self, event: Mapping[str, Any]) -> None:
        match event:
            case {"method": "Runtime.exceptionThrown", "params": {"exceptionDetails": details}}:
                self.errors.append(str(details))
            case {"method": "Runtime.consoleAPICalled", "params": {"type": "error" | "warning", "args": said}}:
                self.errors.append(str(said))
            case {"method": "Log.entryAdded", "params": {"entry": {"level": "error" | "warning", "text": text}}}:
                self.errors.append(text)
            case {"method": "Network.requestWillBeSent", "params": {"request": {"url": url}}}:
                self.requests.append(url[:60])


@contextmanager
def browser(home: Path) -> Iterator[Browser]:
    """A browser with nothing remembered; `home`: an empty folder for its files."""
    name = program()
    assert name is not None, "no browser here"
    (there, send), (receive, back) = os.pipe(), os.pipe()
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (there, back)]  # the browser wants them as 3 and 4
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
    command = [sys.executable, "-c", PLACED, *map(str, ends), name, *flags, f"--user-data-dir={home}", "about:blank"]
    silent = subprocess.DEVNULL
    process = subprocess.Popen(command, pass_fds=ends, stdin=silent, stdout=silent, stderr=silent)
    for end in ends:
        os.close(end)
    os.close(there)
    os.close(back)
    page = Browser(send, receive)
    try:
        yield page
    finally:
        page.close()
        process.wait(SECONDS)
        os.close(send)
        os.close(receive)
