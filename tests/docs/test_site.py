"""The site: built without a warning, whole, with every public name, and seen by a browser."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import threading
import zlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers import needs_compiler

import fastbp
import site_links
from fastbp import files, graph, methods, plot

gallery = pytest.importorskip("gallery", reason="the site needs the extra docs")

pytestmark = [pytest.mark.slow, needs_compiler]

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Nothing but the site is to be reached, and no service of the browser is to try.
OPTIONS = (
    "--headless --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-extensions --window-size=1280,900 "
    "--virtual-time-budget=10000 --dump-dom"
).split()
ONLY_LOOPBACK = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
#: What other files of fastbp ask of a net; the options among them stand in its docstring.
INTERNAL = {
    "capacity_for", "content", "from_spec", "missing_targets", "needs_gradient", "network_on",
    "new_workspace", "optimizer_state", "posterior", "regularization", "restart_optimizer",
    "settings", "share_parameters", "state", "team_workspaces", "threads", "workspace",
}  # fmt: skip
#: Stands first in the page: whatever fails to load, or in a script, is written down.
LISTEN = """<script>
const SCROLLS = ".highlight, .pst-scrollable-table-container";  // within themselves
const failed = [];
window.addEventListener("error", (e) =>
  failed.push(e.message || `${e.target.tagName} ${e.target.src || e.target.href}`), true);
window.addEventListener("unhandledrejection", (e) => failed.push(String(e.reason)));
for (const name of ["error", "warn"]) {
  const say = console[name];
  console[name] = (...what) => { failed.push(what.join(" ")); say(...what); };
}
window.addEventListener("load", () => setTimeout(() => {
  const widths = (width) => [...document.querySelectorAll("article img")]
    .map((e) => [new URL(e.src).pathname.split("/").pop(), e.naturalWidth]);
  const seen = document.createElement("pre");
  seen.id = "seen";
  seen.textContent = JSON.stringify({
    failed: failed,
    pictures: Object.fromEntries(widths()),
    code: [...document.querySelectorAll(".highlight-python pre")].map((e) => e.textContent),
    colors: new Set([...document.querySelectorAll(".highlight-python pre span")]
      .map((e) => getComputedStyle(e).color)).size,
    title: document.querySelector("h1").textContent,
    wide: Math.max(...[...document.querySelectorAll("html, main, .bd-main div, article")]
      .filter((e) => !e.closest(SCROLLS)).map((e) => e.scrollWidth - e.clientWidth)),
  });
  document.body.append(seen);
}, 500));
</script>"""


# ---- what is in it ---------------------------------------------------------------------------


def inventory(site: Path) -> dict[str, str]:
    """The page of each documented object of Python, by its full name."""
    packed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    lines = zlib.decompress(packed).decode().splitlines()
    found = [re.fullmatch(r"(\S+) (py:\S+) \S+ (\S+) .*", line) for line in lines]
    return {match[1]: match[3].partition("#")[0] for match in found if match}


def public_names() -> list[str]:
    """Everything that users import."""
    # Packages on demand are asked by name: importing fastbp.sklearn needs scikit-learn.
    import fastbp.sklearn

    found = [f"fastbp.{name}" for name in fastbp.__all__]
    for module in (fastbp.sklearn, graph, plot, methods):
        found += [f"{module.__name__}.{name}" for name in module.__all__]
    found += [f"fastbp.files.{name}" for name in vars(files) if re.match("(to|from)_", name)]
    found += ["fastbp.files.idx.read", "fastbp.files.idx.mnist"]
    found += ["fastbp.distributed.WorkerError"]
    found += ["fastbp.distributed.mpi.fit", "fastbp.distributed.dask.fit"]
    found += ["fastbp.inspection.layer_outputs", "fastbp.inspection.layer_gradients"]
    return found


def test_every_public_name_is_in_the_reference(site) -> None:
    documented = inventory(site)
    names = public_names()
    assert len(names) > 100
    # fastbp.methods repeats some names of fastbp, where they are documented.
    missing = [
        name
        for name in names
        if not documented.get(name, "").startswith("reference/")
        and not documented.get(f"fastbp.{name.rpartition('.')[2]}", "").startswith("reference/")
    ]
    assert not missing


def test_everything_that_a_net_has_is_in_the_reference(site) -> None:
    documented = inventory(site)
    names = {name for name in dir(fastbp.MLP) if not name.startswith("_")} - INTERNAL
    assert len(names) > 30
    assert not [name for name in names if f"fastbp.MLP.{name}" not in documented]


def test_what_a_net_has_for_other_files_alone_is_there() -> None:
    assert not INTERNAL - set(dir(fastbp.MLP))


def test_the_plain_loops_are_in_the_reference(site) -> None:
    page = html.unescape(re.sub("<[^>]+>", "", (site / "reference/plain.html").read_text("utf-8")))
    assert "def train_step(" in page
    assert "def dense_backward(dx, dw, db, dz, x, w):" in page


def test_every_command_is_in_the_reference(site) -> None:
    page = (site / "reference/command_line.html").read_text(encoding="utf-8")
    commands = re.findall(r"^    (\w+) {2,}\w", html.unescape(page), re.MULTILINE)
    assert len(commands) >= 6
    for command in commands:
        assert f"usage: python -m fastbp {command}" in page


def test_every_example_is_in_the_gallery(site) -> None:
    pages = gallery.pages()
    paths = sorted((ROOT / "examples").rglob("[0-9][0-9]_*.py"))
    assert sorted(pages) == [path.relative_to(ROOT).as_posix() for path in paths]
    for path in paths:
        page = (site / f"{pages[path.relative_to(ROOT).as_posix()]}.html").read_text("utf-8")
        code = path.read_text(encoding="utf-8").rstrip().splitlines()[-1].strip()
        assert code in html.unescape(re.sub("<[^>]+>", "", page)), path
        for kept in gallery.pictures_of(path):
            assert kept.stem in page or f"sphx_glr_{path.stem}_001" in page, kept
        if gallery.is_run(path):
            assert "sphx-glr-script-out" in page or "sphx_glr_" in page, path


# ---- its links -------------------------------------------------------------------------------


def test_links_within_the_site_lead_somewhere(site) -> None:
    assert len(site_links.pages(site)) > 60
    assert site_links.broken(site) == []


def test_links_elsewhere_are_listed_and_nothing_is_fetched_from_there(site) -> None:
    listed = (site.parent / "external_links.txt").read_text(encoding="utf-8").splitlines()
    assert listed == site_links.external(site)
    assert all(line.startswith(("https://", "http://")) for line in listed)
    assert site_links.fetched(site) == []


# ---- seen by a browser -----------------------------------------------------------------------


PHONE = """<!DOCTYPE html><link rel="icon" href="data:,">
<iframe src="/{page}" style="width: 400px; height: 800px; border: 0"></iframe>
<script>
const look = setInterval(() => {{
  const seen = document.querySelector("iframe").contentDocument.getElementById("seen");
  if (seen === null) return;
  clearInterval(look);
  document.body.append(document.importNode(seen, true));
}}, 100);
</script>"""  # Chromium has no window of less than 500 pixels


class Listening(SimpleHTTPRequestHandler):
    """Serves the site, with LISTEN in each page, and writes down what it lacks."""

    lacking: list[str]

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if self.path.startswith("/phone/"):
            text = PHONE.format(page=self.path.removeprefix("/phone/"))
        elif path.suffix == ".html":
            text = path.read_text(encoding="utf-8").replace("<head>", f"<head>{LISTEN}", 1)
        else:
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_error(self, *said) -> None:
        self.lacking.append(self.path)

    def log_message(self, *said) -> None:
        pass


def seen(site: Path, page: str, profile: Path) -> dict:
    """What a browser shows on a page of the site."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("Chromium is not installed (Debian: chromium)")
    handler = type("Handler", (Listening,), {"lacking": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/{page}"
        command = [browser, *OPTIONS, ONLY_LOOPBACK, f"--user-data-dir={profile}", address]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--no-sandbox")  # Chromium's does not work for root
        process = subprocess.run(command, capture_output=True, text=True, timeout=120)
        server.shutdown()
        thread.join()
    found = re.search(r'<pre id="seen">(.*?)</pre>', process.stdout, re.DOTALL)
    assert found, f"nothing is seen:\n{process.stdout[-2000:]}\n{process.stderr[-2000:]}"
    return json.loads(html.unescape(found.group(1))) | {"lacking": handler.lacking}


def test_the_first_page_shows_the_animation_and_code(site, tmp_path) -> None:
    found = seen(site, "index.html", tmp_path / "profile")
    assert found["failed"] == found["lacking"] == []
    assert found["title"].startswith("fastbp")
    assert found["pictures"]["learning.gif"] > 400
    assert all(width > 0 for width in found["pictures"].values())
    (code,) = found["code"]
    assert "net = fastbp.MLP(" in code
    assert "net.save(" in code
    assert found["colors"] > 3  # the stylesheet of the code is there


@pytest.mark.parametrize(
    "page", ["index.html", "reference/nets.html", "gallery/lectures/index.html"]
)
def test_nothing_is_wider_than_a_phone(site, tmp_path, page) -> None:
    found = seen(site, f"phone/{page}", tmp_path / "profile")
    assert found["failed"] == found["lacking"] == []
    assert found["wide"] <= 0
