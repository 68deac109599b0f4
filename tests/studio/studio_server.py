"""A real Label Studio for tests: installed once into a cache, started from a copy that is migrated.

Run as a program (`python studio_server.py install`) it installs; `.ci/run` does so in the
background. It needs nothing but the standard library, so nothing must be installed before.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.cookiejar
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
OFFLINE = HERE.parent / "offline"
FAILED = ".failed"
ADMIN = "admin@example.test"
ADMIN_TOKEN = "0123456789abcdef0123456789abcdef01234567"
PASSWORD = "pw-Admin-123"
PEOPLE = ("alice@example.test", "bob@example.test", "carol@example.test")
SETTINGS = {
    "DJANGO_DB": "sqlite",
    "LABEL_STUDIO_USERNAME": ADMIN,
    "LABEL_STUDIO_PASSWORD": PASSWORD,
    "LABEL_STUDIO_USER_TOKEN": ADMIN_TOKEN,
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    "LATEST_VERSION_CHECK": "false",
    "COLLECT_ANALYTICS": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "CONVERTER_DOWNLOAD_RESOURCES": "false",
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    "SSRF_PROTECTION_ENABLED": "false",
    "ML_BLOCK_LOCAL_IP": "false",
    "PYTHONUNBUFFERED": "1",
}


def home():
    """Give the folder of the server's environment; its name changes with what is pinned."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    what = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    return Path(cache) / "corpus-curator" / f"label-studio-{what}"


def is_installed():
    """Tell whether the environment and the migrated data are whole: the mark is written last."""
    return (home() / ".ok").exists()


def install():
    """Install the server and migrate an empty database, once; a second caller waits."""
    folder = home()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_installed():
            return
        (folder / FAILED).unlink(missing_ok=True)
        try:
            _install(folder)
        except BaseException as fault:
            (folder / FAILED).write_text(f"{type(fault).__name__}: {fault}", "utf-8")
            raise


def _install(folder):
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder / "venv"], check=True)
    subprocess.run(
        [folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-input",
         "--disable-pip-version-check", "--requirement", REQUIREMENTS],
        check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    shutil.rmtree(folder / "data", ignore_errors=True)
    server = StudioServer(folder / "data", patience_s=600)
    try:
        tokens = {ADMIN: ADMIN_TOKEN} | {who: server.sign_up(who) for who in PEOPLE}
        (folder / "tokens.json").write_text(json.dumps(tokens), "utf-8")
    finally:
        server.stop()
    (folder / ".ok").touch()


def wait_for_install(seconds):
    """Wait for an install that is under way or about to start; gives whether it is there now."""
    until = time.monotonic() + seconds
    while not is_installed() and time.monotonic() < until and not (home() / FAILED).exists():
        time.sleep(1)
    return is_installed()


def free_port():
    """Give a port nobody listens on; a port that is taken would be changed without a word."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class StudioServer:
    """A server process over a folder of data, on loopback."""

    def __init__(self, data, *, patience_s=120, port=None, path=""):
        self.data = Path(data)
        self.port = port or free_port()
        self.path = path
        self.url = f"http://127.0.0.1:{self.port}{path}"
        self._log = Path(tempfile.mkstemp(prefix="label-studio-", suffix=".log")[1])
        self.process = None
        self.start(patience_s)

    @classmethod
    def fresh(cls, folder, **options):
        """Start a server over a copy of the migrated data."""
        shutil.copytree(home() / "data", folder)
        return cls(folder, **options)

    @property
    def tokens(self):
        """Legacy tokens of the people, by address."""
        return json.loads((home() / "tokens.json").read_text("utf-8"))

    def start(self, patience_s=120):
        """Start, and wait until it answers."""
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
        extra = {"LABEL_STUDIO_BASE_DATA_DIR": str(self.data), "PYTHONPATH": str(OFFLINE)}
        if self.path:
            extra["LABEL_STUDIO_HOST"] = self.url
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [home() / "venv/bin/label-studio", "start", "--no-browser", "--internal-host",
                 "127.0.0.1", "--port", str(self.port), "--enable-legacy-api-token",
                 "--log-level", "ERROR"],
                env=kept | SETTINGS | extra, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + patience_s
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                said = self._log.read_text("utf-8", "replace")[-3000:]
                raise RuntimeError(f"Label Studio did not start within {patience_s} s:\n{said}")
            time.sleep(0.2)

    def _answers(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as found:
                return found.status == 200
        except OSError:
            return False

    def stop(self):
        """End the process and wait for it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self):
        """End the process as a power cut would."""
        self.process.kill()
        self.process.wait()

    def sign_up(self, who):
        """Make a user by the invite link, the only way that keeps the password; gives the token."""
        link = json.loads(self._admin("api/invite"))["invite_url"]
        jar = http.cookiejar.CookieJar()
        person = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        page = person.open(f"{self.url}{link}").read().decode()
        secret = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
        form = {"csrfmiddlewaretoken": secret, "email": who, "password": PASSWORD,
                "allow_newsletters": "false"}  # fmt: skip
        person.open(f"{self.url}{link}", urllib.parse.urlencode(form).encode())
        return json.loads(person.open(f"{self.url}/api/current-user/token").read())["token"]

    def _admin(self, path):
        asked = urllib.request.Request(
            f"{self.url}/{path}", headers={"Authorization": f"Token {ADMIN_TOKEN}"}
        )
        with urllib.request.urlopen(asked) as found:
            return found.read()


if __name__ == "__main__":
    install()
