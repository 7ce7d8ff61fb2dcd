"""The files of `deploy/`, as far as they can be judged without Docker and Kubernetes."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OPTIONS = (ROOT / "docs/reference/commands.md").read_text("utf-8")


def kubernetes(kind: str) -> Any:
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8")))
    return next(each for each in documents if each["kind"] == kind)


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))


def test_compose_fits_the_specification() -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema",
         "vendor.compose-spec", DEPLOY / "compose.yaml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_image_is_for_a_user_without_rights_and_has_what_a_worker_needs() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    steps = [line.split(None, 1) for line in text.splitlines() if re.match(r"[A-Z]+ ", line)]
    done = [(name, rest) for name, rest in steps]
    final = done[max(place for place, (name, _) in enumerate(done) if name == "FROM") :]
    assert [rest for name, rest in final if name == "USER"] == ["10001:10001"]
    assert all(":" in rest and "latest" not in rest for name, rest in done if name == "FROM")
    assert {name for name, _ in done} <= {
        *("FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "ENTRYPOINT", "CMD"),
    }
    install = next(rest for name, rest in final if name == "RUN")
    assert {"bubblewrap", "git", "ripgrep", "--no-install-recommends"} <= set(install.split())
    assert "rm -rf /var/lib/apt/lists" in install
    for path in (each for name, rest in done if name == "COPY" for each in rest.split()[:-1]):
        assert path.startswith(("--from=", "/")) or (ROOT / path).exists(), path


def test_the_image_installs_what_is_tested_and_no_more() -> None:
    tested, installed = (
        set(re.findall(r"^([\w.-]+==\S+)", (ROOT / file).read_text(), re.MULTILINE))
        for file in ("requirements.lock", "deploy/requirements.lock")
    )
    assert installed < tested
    names = {each.partition("==")[0] for each in installed}
    assert {"dbos", "psycopg", "opentelemetry-sdk", "hatchling"} <= names
    assert not {"playwright", "basedpyright", "zensical"} & names
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    pips = re.findall(r"pip install (?:--no-cache-dir|--quiet| )*(\S+)", text)
    assert pips == ["--require-hashes", "--no-deps"]


@pytest.mark.parametrize(("kind", "container"), [("Deployment", "worker"), ("Job", "migrate")])
def test_pods_have_no_rights_and_secrets_come_from_secrets(kind: str, container: str) -> None:
    pod = kubernetes(kind)["spec"]["template"]["spec"]
    [found] = pod["containers"]
    assert found["name"] == container
    assert found["securityContext"]["runAsNonRoot"] is True
    assert found["securityContext"]["allowPrivilegeEscalation"] is False
    assert found["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["automountServiceAccountToken"] is False
    assert all("value" not in each and "secretKeyRef" in each["valueFrom"] for each in found["env"])


def test_what_a_sandbox_needs_is_there() -> None:
    deployment = kubernetes("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    assert (
        deployment["spec"]["selector"]["matchLabels"]
        == (deployment["spec"]["template"]["metadata"]["labels"])
    )
    assert pod["hostUsers"] is False
    assert pod["containers"][0]["securityContext"]["procMount"] == "Unmasked"
    mounted = {each["name"] for each in pod["containers"][0]["volumeMounts"]}
    assert mounted == {each["name"] for each in pod["volumes"]}
    worker = compose()["services"]["worker"]
    assert worker["deploy"]["replicas"] == 2
    assert "systempaths=unconfined" in worker["security_opt"]


def test_every_command_and_variable_is_one_of_agentflow() -> None:
    services = compose()["services"]
    commands = [services[name]["command"] for name in ("migrate", "worker")]
    pods = [kubernetes(kind)["spec"]["template"]["spec"] for kind in ("Job", "Deployment")]
    commands += [pod["containers"][0]["args"] for pod in pods]
    for command in commands:
        words = [word for word in command if not word.isdigit() and word != "agentflow"]
        name = " ".join(word for word in words if not word.startswith("--"))
        assert f"## agentflow {name}\n" in OPTIONS
        assert all(word in OPTIONS for word in words if word.startswith("--"))
    source = "".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    settings = {
        f"AGENTFLOW_{name.upper()}" for name in re.findall(r"^    (\w+): Anno", source, re.M)
    }
    for file in ("compose.yaml", "kubernetes.yaml"):
        for variable in re.findall(r"AGENTFLOW_[A-Z_]+", (DEPLOY / file).read_text("utf-8")):
            assert variable in settings or variable in source, variable
