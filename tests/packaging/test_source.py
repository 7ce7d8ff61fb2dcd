"""What is built holds what is needed of it: the source distribution for its own tests and the action, the
wheel for the dashboard."""

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import httpx2

from tests.ui.place import make_place, serving

ROOT = Path(__file__).parents[2]


def test_the_source_distribution_is_whole(tmp_path: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    built = subprocess.run(
        [Path(sys.executable).with_name("hatchling"), "build", "-t", "sdist", "-d", tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (file,) = tmp_path.iterdir()
    with tarfile.open(file) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    missing = {path for path in tracked if path not in held and not path.startswith(".")}
    assert len(tracked) > 500
    assert missing == set()


def test_the_wheel_serves_the_dashboard(tmp_path: Path) -> None:
    """With its own templates and assets, beside the packages of the extra `ui`."""
    built = subprocess.run(
        [Path(sys.executable).with_name("hatchling"), "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    place = make_place(tmp_path / "place")
    place.shell.environment["PYTHONPATH"] = str(unpacked)
    where = "import agentflow; print(agentflow.__file__)"
    said = subprocess.run(
        [sys.executable, "-c", where],
        cwd=place.root, env=place.shell.environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said == f"{unpacked / 'agentflow/__init__.py'}\n"
    help_ = place.shell.run("ui", "--help")
    assert (help_.returncode, "--port" in help_.stdout) == (0, True), help_.stderr

    with serving(place) as url, httpx2.Client(follow_redirects=True, timeout=60) as client:
        base = url.partition("/?")[0]
        assert (
            client.get(url).status_code == 200
        )  # which takes the token, and refreshes to the page
        page = client.get(f"{base}/")
        assert page.status_code == 200
        assert "Overview" in page.text
        assets = set(re.findall(r'(?:href|src)="(/assets/[^"]+)"', page.text))
        assert len(assets) > 1
        kinds = {asset: client.get(f"{base}{asset}") for asset in assets}
        assert {each.status_code for each in kinds.values()} == {200}
        assert all(each.content for each in kinds.values())
        for path in ("/runs", "/tasks", "/costs", f"/runs/{place.runs['TASK-1']}"):
            assert client.get(f"{base}{path}").status_code == 200
