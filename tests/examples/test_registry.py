"""The registry: what it serves, and what it does not."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.examples.packages import Packages, Tarball
from tests.examples.registry import Registry, serve


@pytest.fixture
def small(tmp_path: Path) -> Packages:
    """Two versions of a package with a scope, and one wheel."""
    for name in ("npm", "wheels"):
        (tmp_path / name).mkdir()
    (tmp_path / "npm" / "a-b-1.0.0.tgz").write_bytes(b"tarball")
    (tmp_path / "wheels" / "One_Two-1.0-py3-none-any.whl").write_bytes(b"wheel")
    (tmp_path / "index.json").write_text("{}")
    versions = ("0.9.0", "1.0.0")
    return Packages(
        tmp_path,
        tuple(
            Tarball(f"a-b-{version}.tgz", f"sha512-{version}", {"name": "@a/b", "version": version})
            for version in versions
        ),
    )


def _get(registry: Registry, path: str) -> bytes:
    with urllib.request.urlopen(f"http://{registry.host}{path}") as response:
        return response.read()


def test_a_packument_names_tarballs_and_checksums(small: Packages) -> None:
    with serve(small) as registry:
        assert json.loads(_get(registry, "/npm/@a%2fb")) == {
            "name": "@a/b",
            "dist-tags": {"latest": "1.0.0"},
            "versions": {
                version: {
                    "name": "@a/b",
                    "version": version,
                    "dist": {
                        "tarball": f"{registry.npm}-/a-b-{version}.tgz",
                        "integrity": f"sha512-{version}",
                    },
                }
                for version in ("0.9.0", "1.0.0")
            },
        }
        assert _get(registry, "/npm/-/a-b-1.0.0.tgz") == b"tarball"


def test_the_index_links_wheels_with_their_checksum(small: Packages) -> None:
    with serve(small) as registry:
        page = _get(registry, "/simple/one.two/").decode()
        assert 'href="/wheels/One_Two-1.0-py3-none-any.whl#sha256=' in page
        assert _get(registry, "/wheels/One_Two-1.0-py3-none-any.whl") == b"wheel"


@pytest.mark.parametrize(
    "path", ["/", "/npm/none", "/simple/none/", "/wheels/", "/wheels/../index.json", "/npm/-/.."]
)
def test_anything_else_is_not_found(small: Packages, path: str) -> None:
    with serve(small) as registry:
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            _get(registry, path)
        refused.value.close()
        assert registry.requests == [path]
