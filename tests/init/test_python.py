"""Python repositories."""

import pytest

from tests.init.conftest import Machine, Propose

VENV = ". .venv/bin/activate && "
CHANGED = 'git diff -z --name-only --relative --diff-filter=d "${AGENTFLOW_BASE:-HEAD}" -- '


def test_uv_with_its_usual_tools(proposed: Propose) -> None:
    found = proposed({
        "pyproject.toml": """
[project]
name = "a"
dependencies = ["httpx"]
[project.optional-dependencies]
test = ["anyio"]
docs = ["sphinx"]
[dependency-groups]
dev = ["pytest", "ruff", "mypy"]
lint = ["codespell"]
[tool.ruff.format]
quote-style = "double"
[tool.mypy]
strict = true
[tool.pytest.ini_options]
testpaths = ["tests"]
""",
        "uv.lock": 'source = { registry = "https://pypi.example.com/simple" }\n'
        'sdist = { url = "https://files.example.com/a.tar.gz" }\n',
        "src/a/__init__.py": "",
        "tests/test_a.py": "def test_a():\n    pass\n",
    })
    assert found.commands == {
        "format": f"{VENV}{CHANGED}'*.py' '*.pyi' | xargs -0 -r ruff format --force-exclude",
        "lint": f"{VENV}ruff check .",
        "typecheck": f"{VENV}mypy src",
        "test": f"{VENV}pytest -q",
    }
    environment = found.settings.environment
    assert environment.setup == "uv sync --frozen --extra test --group lint"
    assert environment.key == ("uv.lock", "pyproject.toml")
    assert environment.provides == (".venv",)
    assert environment.network == ("pypi.example.com", "files.example.com")
    assert found.proposal.sources == ("src", "tests")
    assert environment.agent.variables == {
        "RUFF_CACHE_DIR": "/tmp/ruff",
        "MYPY_CACHE_DIR": "/tmp/mypy",
        "PYTEST_ADDOPTS": "-o cache_dir=/tmp/pytest",
    }


def test_poetry(proposed: Propose) -> None:
    found = proposed({
        "pyproject.toml": """
[tool.poetry]
name = "a"
[tool.poetry.dependencies]
python = "^3.11"
[tool.poetry.group.dev.dependencies]
pytest = "^8"
black = "^25"
[tool.black]
line-length = 100
[build-system]
requires = ["poetry-core"]
""",
        "poetry.lock": '[[package]]\nname = "pytest"\n',
        "tests/test_a.py": "import pytest\n",
    })
    line = "POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --no-interaction"
    assert found.settings.environment.setup == line
    assert list(found.commands) == ["format", "test"]
    assert found.settings.environment.key == ("poetry.lock", "pyproject.toml")


def test_what_the_lock_file_does_not_hold_is_left_to_the_user(proposed: Propose) -> None:
    found = proposed({
        "pyproject.toml": '[project]\nname = "a"\n[tool.ruff]\nline-length = 100\n',
        "uv.lock": "",
        "tests/test_a.py": "import unittest\n",
    })
    assert found.commands == {"test": f"{VENV}python3 -m unittest discover"}
    assert "uv.lock does not hold it: add it there first\n# [[gates]]" in found.text


def test_pip_with_requirements_files(proposed: Propose) -> None:
    found = proposed({
        "requirements.txt": "--index-url https://pypi.example.com:8080/simple\nflask==3\n",
        "requirements-dev.txt": "-r requirements.txt\nPy_Test>=8\n",
        "requirements-docs.txt": "sphinx\n",
        "tests/test_a.py": "def test_a():\n    pass\n",
        "mypy.ini": "[mypy]\n",
    })
    assert found.settings.environment.setup == (
        "python3 -m venv .venv && .venv/bin/pip install -r requirements-dev.txt "
        "-r requirements.txt mypy pytest"
    )
    assert found.settings.environment.network == ("pypi.example.com:8080",)
    assert found.commands == {"typecheck": f"{VENV}mypy .", "test": f"{VENV}pytest -q"}
    assert "it is in no manifest, so the setup installs it as well" in found.text


def test_nothing_is_added_to_requirements_with_hashes(proposed: Propose) -> None:
    found = proposed({
        "pyproject.toml": '[project]\nname = "a"\ndependencies = ["flask>=3"]\n'
        '[dependency-groups]\ndev = ["pytest", "rich"]\n',
        "requirements.txt": "flask==3 --hash=sha256:00\npytest==8 --hash=sha256:00\n"
        "rich==14 --hash=sha256:00\n",
        "pip.conf": "[global]\nindex-url = https://pypi.example.com/simple\n",
        "ruff.toml": "",
        "conftest.py": "",
    })
    assert found.settings.environment.setup == (
        "python3 -m venv .venv && "
        "PIP_CONFIG_FILE=pip.conf .venv/bin/pip install -r requirements.txt"
    )
    assert found.settings.environment.key == ("pyproject.toml", "requirements.txt", "pip.conf")
    assert list(found.commands) == ["test"]


def test_a_package_is_installed_with_what_its_developers_need(proposed: Propose) -> None:
    package = '[project]\nname = "a"\n[project.optional-dependencies]\ndev = ["pytest"]\n'
    tests = {"tests/test_a.py": "import pytest\n"}
    built = proposed({"pyproject.toml": f"{package}[build-system]\nrequires = []\n", **tests})
    pip = "python3 -m venv .venv && .venv/bin/pip install"
    assert built.settings.environment.setup == f"{pip} -e '.[dev]'"
    plain = proposed({"pyproject.toml": package, **tests})
    assert plain.settings.environment.setup == f"{pip} pytest"


def test_tests_without_a_manifest(proposed: Propose) -> None:
    files = {"notes/a.py": "", "tests/test_a.py": "def test_a():\n    pass\n"}
    own = proposed(files, Machine(programs=frozenset({"pytest"})))
    assert own.commands == {"test": "python3 -m pytest -q"}
    assert own.settings.environment.setup is None
    other = proposed(files, Machine(programs=frozenset()))
    assert other.settings.environment.setup == (
        "python3 -m venv .venv && .venv/bin/pip install pytest"
    )


def test_pyright_of_pypi_is_left_to_the_user(proposed: Propose) -> None:
    pyright = proposed({"pyproject.toml": "[tool.pyright]\nstrict = []\n", "requirements.txt": "a"})
    assert pyright.commands == {}
    assert "it fetches Node when it is first started" in pyright.text
    based = proposed({
        "pyproject.toml": "[tool.basedpyright]\ntypeCheckingMode = 'recommended'\n",
        "requirements.txt": "basedpyright\n",
    })
    assert based.commands == {"typecheck": f"{VENV}basedpyright"}


@pytest.mark.parametrize("name", ["tox.ini", "noxfile.py"])
def test_runners_with_environments_of_their_own_are_no_gate(proposed: Propose, name: str) -> None:
    found = proposed({"setup.py": "", name: "", "tests/test_a.py": "import pytest\n"})
    assert f"{name}: " in found.notes
    assert list(found.commands) == ["test"]
