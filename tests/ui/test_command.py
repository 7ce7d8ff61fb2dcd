"""`agentflow ui` as a command: what it needs, and how it hands its URL to a browser."""

import stat
import subprocess
import sys
import time
from pathlib import Path

from tests.ui.place import Place, serving


def test_what_is_missing_is_said_with_the_line_that_installs_it(other: Place) -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None; sys.argv[1:] = ['ui']\n"
        "from agentflow.__main__ import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=other.root, env=other.shell.environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 5
    assert "the dashboard needs the package uvicorn" in ended.stderr
    assert "pip install '.[ui]'" in ended.stderr


def test_a_browser_gets_the_token_in_a_file_of_the_user_s_own(other: Place, tmp_path: Path) -> None:
    """A command line is for everybody on the machine to see."""
    told, browser = tmp_path / "told", tmp_path / "browser"
    browser.write_text(
        f'#!/bin/sh\nfile=${{1#file://}}\nstat -c %a "$file" >{told}.mode\n'
        f'cp "$file" {told}.page\necho "$@" >{told}\n'
    )
    browser.chmod(0o755)
    other.shell.environment["BROWSER"] = f"{browser} %s"
    with serving(other, "--open") as url:
        token = url.partition("token=")[2]
        for _ in range(1500):
            if told.exists() and told.read_text():
                break
            time.sleep(0.02)
        assert f"token={token}" in Path(f"{told}.page").read_text("utf-8")
        assert int(Path(f"{told}.mode").read_text("utf-8"), 8) == stat.S_IRUSR | stat.S_IWUSR
        assert token not in told.read_text()
        file = Path(told.read_text().strip().removeprefix("file://"))
    assert not file.exists()
