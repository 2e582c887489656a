"""The published page, seen by a browser: the committed results are drawn, without a network."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from made_up import repository_of, write_results

import page
from asv_calls import ROOT, SUITE, TroubleError, git
from workloads import WORKLOADS

pytestmark = pytest.mark.slow

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Nothing but the page is to be reached, and no service of the browser is to try.
OPTIONS = (
    "--headless --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-extensions --window-size=1400,900 "
    "--virtual-time-budget=20000 --dump-dom"
).split()
ONLY_LOOPBACK = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
TRAINING = "bench_training.Training"
#: Writes into the page what it shows, once it shows a graph: how many pixels of the canvas have
#: the colour of each line of the legend, and what stands at the axes.
LOOK = """
const look = setInterval(() => {
  const canvas = document.querySelector("#main-graph canvas.flot-base");
  const rows = [...document.querySelectorAll("#main-graph .legend tr")];
  if (canvas === null || rows.length === 0) return;
  clearInterval(look);
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const painted = {};
  for (let i = 0; i < pixels.length; i += 4) {
    if (pixels[i + 3] !== 255) continue;
    const color = `rgb(${pixels[i]}, ${pixels[i + 1]}, ${pixels[i + 2]})`;
    painted[color] = (painted[color] || 0) + 1;
  }
  const texts = (selector) => [...document.querySelectorAll(selector)].map((e) => e.textContent);
  const lines = rows.map((row) => {
    const box = getComputedStyle(row.querySelector(".legendColorBox div div"));
    const label = row.querySelector(".legendLabel").textContent;
    return [label, box.borderTopColor, painted[box.borderTopColor] || 0];
  });
  const seen = document.createElement("pre");
  seen.id = "seen";
  seen.textContent = JSON.stringify({
    lines: lines,
    ticks: texts("#main-graph .flot-y-axis .flot-tick-label"),
    title: document.querySelector("#title").textContent.trim(),
  });
  document.body.append(seen);
}, 100);
"""


def browser() -> str:
    """The path of a browser; the test is skipped where there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("Chromium is not installed (Debian: chromium)")
    return found


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The page of the committed results."""
    browser()
    pytest.importorskip("asv", reason="asv is not installed")
    results = SUITE / "results"
    shallow = subprocess.run(
        ["git", "rev-parse", "--is-shallow-repository"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if shallow.stdout.strip() != "false":
        pytest.skip("this is no clone with the whole history of the project")
    if reason := page.fetch():
        pytest.skip(f"the scripts of the page are not here: {reason}")
    folder = tmp_path_factory.mktemp("page") / "html"
    page.publish(results, folder)
    (folder / "look.js").write_text(LOOK, encoding="utf-8")
    index = folder / "index.html"
    text = index.read_text(encoding="utf-8")
    assert text.count("</body>") == 1
    index.write_text(text.replace("</body>", '<script src="look.js"></script></body>'))
    return folder


@pytest.fixture(scope="module")
def served(published):
    """The page on the loopback address, which is returned."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(published))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def seen(address: str, profile: Path) -> dict:
    """What a browser shows at an address."""
    command = [browser(), *OPTIONS, ONLY_LOOPBACK, f"--user-data-dir={profile}", address]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--no-sandbox")  # Chromium's does not work for root
    process = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="seen">(.*?)</pre>', process.stdout, re.DOTALL)
    assert found, f"no graph is drawn:\n{process.stdout[-2000:]}\n{process.stderr[-2000:]}"
    return json.loads(html.unescape(found.group(1)))


def one_environment(published: Path) -> str:
    """Choose one machine, Python and so on in an address, where the results are of several."""
    index = json.loads((published / "index.json").read_text(encoding="utf-8"))
    chosen = index["graph_param_list"][-1]
    several = {name: chosen[name] for name, values in index["params"].items() if len(values) > 1}
    return urlencode(several, quote_via=quote)


@pytest.mark.parametrize(
    "name, scale", [(f"{TRAINING}.time_step", "log"), (f"{TRAINING}.track_share_of_peak", "zoom")]
)
def test_the_graph_of_training_is_drawn(published, served, tmp_path, name, scale) -> None:
    choice = f"x-axis-scale=even&y-axis-scale={scale}&{one_environment(published)}"
    found = seen(f"{served}/#{name}?{choice}", tmp_path / "profile")
    assert found["title"] == name
    assert [label for label, _, _ in found["lines"]] == [f"workload-{name}" for name in WORKLOADS]
    assert len({color for _, color, _ in found["lines"]}) == len(WORKLOADS)
    for label, color, pixels in found["lines"]:  # one line may hide most of another
        assert pixels >= 10, f"{label} has {pixels} pixels of {color}"
    assert sum(pixels for _, _, pixels in found["lines"]) >= 500
    assert len(found["ticks"]) >= 2


def test_nothing_is_taken_from_elsewhere(published) -> None:
    index = (published / "index.html").read_text(encoding="utf-8")
    assert page.ELSEWHERE.findall(index) == []
    assert {path.name for path in (published / "scripts").iterdir()} == {
        Path(file).name for file in page.KNOWN.values()
    }


# ---- its scripts, from made-up packages -----------------------------------------------------


def test_scripts_are_laid_beside_the_page(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(page, "KNOWN", {"/thing-1.0.0.js": "thing/dist/thing.min.js"})
    script = tmp_path / "modules" / "thing" / "dist" / "thing.min.js"
    script.parent.mkdir(parents=True)
    script.write_text("let answer = 42;")
    elsewhere = '<a href="https://a.example/thing-1.0.0.js"></a><script src="asv.js"></script>'
    (tmp_path / "index.html").write_text(
        '<script src="https://a.example/thing-1.0.0.js" integrity="sha512-x" crossorigin="y" '
        'onerror="f()"></script>\n<link rel="stylesheet" href="https://a.example/other.css">\n'
        + elsewhere
    )
    unknown = page.make_whole(tmp_path, tmp_path / "modules")
    assert unknown == ["https://a.example/other.css"]
    assert (tmp_path / "scripts" / "thing.min.js").read_text() == "let answer = 42;"
    assert (tmp_path / "index.html").read_text().splitlines() == [
        '<script src="scripts/thing.min.js" onerror="f()"></script>',
        '<link rel="stylesheet" href="https://a.example/other.css">',
        elsewhere,
    ]


def test_each_script_is_of_a_locked_package() -> None:
    locked = json.loads((page.LOCKED / "package-lock.json").read_text())["packages"]
    packages = {f"node_modules/{file.partition('/')[0]}" for file in page.KNOWN.values()}
    assert packages == set(locked) - {""}
    assert all(locked[name]["integrity"].startswith("sha512-") for name in packages)


def test_without_npm_the_reason_is_said(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(page, "SCRIPTS", tmp_path / "kept")
    monkeypatch.setattr(page.shutil, "which", lambda name: None)
    assert page.main() == 0
    assert "from the network: npm is not installed" in capsys.readouterr().out
    monkeypatch.setattr(page.shutil, "which", lambda name: sys.executable)
    assert page.fetch().startswith("npm ended with exit status ")


def test_results_of_other_commits_alone_cannot_be_published(tmp_path) -> None:
    root = repository_of(tmp_path / "repository", {"a": "1"}, {"a": "2"})
    git("checkout", "--quiet", "-b", "side", root=root)
    repository_of(root, {"a": "3"})
    results = tmp_path / "results"
    results.mkdir()
    (results / "benchmarks.json").write_text("{}")
    with pytest.raises(TroubleError, match="there are no results"):
        page.check_results(results, root)
    for commit in ("f" * 40, git("rev-parse", "side", root=root)):
        write_results(results, commit, {})
    with pytest.raises(TroubleError, match="main has none of the 2 commits.*unshallow"):
        page.check_results(results, root)
    write_results(results, git("rev-parse", "main", root=root), {})
    page.check_results(results, root)
