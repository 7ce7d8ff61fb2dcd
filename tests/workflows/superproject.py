"""A superproject whose service and shared types are submodules, and a handoff that needs both."""

import shlex
import subprocess
from pathlib import Path

from agentflow.records import Json
from tests.run.project import Project, bash, turn

BLOCK = """--- BACKEND TASK HANDOFF (copy below) ---
- **Trigger**: the inbox
- **Expected backend work**: add POST /v1/mails
- **Service(s)**: mail
- **Contract requirements**: POST /v1/mails { to: string } in @acme/types
--- END HANDOFF ---
"""
MAIL, TYPES = "acme-mail-service", "acme-types"
DTO = "export class CreateMailDto { @IsDefined() to: string }\n"


def git(folder: Path, *words: str) -> str:
    """Run git in a repository."""
    ended = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", "-C", str(folder), *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return ended.stdout.strip()


def add_submodules(project: Project, folder: Path) -> None:
    """Give a project its service and the types, from repositories made in `folder`."""
    for name, file, text in (
        (MAIL, "src/main.ts", "export {}\n"),
        (TYPES, "package.json", '{"name": "@acme/types"}\n'),
    ):
        other = folder / "origins" / name
        (other / file).parent.mkdir(parents=True)
        (other / file).write_text(text)
        (other / ".orchestrator/prompts").mkdir(parents=True)
        (other / ".orchestrator/prompts/plain.md").write_text("Do what the task says.\n")
        git(other, "init", "-q", "-b", "main")
        git(other, "add", "-A")
        git(other, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "feat: start")
        git(project.root, "submodule", "--quiet", "add", str(other), name)
        for key, value in (("user.name", "Ada"), ("user.email", "ada@example.com")):
            git(project.root / name, "config", key, value)
    project.commit("feat: services")


def work(mail: str = "export const x = 1\n") -> tuple[Json, ...]:
    """A conversation that does either part: the types' own file, or the service's."""
    dto, source = shlex.quote(DTO), shlex.quote(mail)
    command = (
        f"if [ -e package.json ]; then printf %s {dto} > mail.dto.ts; "
        f"else printf %s {source} > src/mail.ts; fi"
    )
    return turn(bash(command)), turn(text="Done."), turn(text="It is right.")
