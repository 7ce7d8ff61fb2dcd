"""Hooks and the file-system monitor of the user's repository never run, whatever agentflow does."""

from pathlib import Path

import pytest

from agentflow.records import Landing
from agentflow.workspace.land import check_target, keep_verified, land, pin_base
from tests.workspace.place import Place

HOOKS = (
    "applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit",
    "prepare-commit-msg", "commit-msg", "post-commit", "pre-rebase", "post-checkout", "post-merge",
    "pre-push", "pre-receive", "update", "post-receive", "post-update", "reference-transaction",
    "push-to-checkout", "pre-auto-gc", "post-rewrite", "sendemail-validate", "post-index-change",
    "fsmonitor-watchman",
)  # fmt: skip


def install(place: Place, folder: str) -> Path:
    """Every hook, each of which writes its name down; return the file."""
    canary, hooks = place.folder / "canary", place.root / folder
    hooks.mkdir(parents=True, exist_ok=True)
    for name in HOOKS:
        (hooks / name).write_text(f'#!/bin/sh\necho "{name}" >> "{canary}"\n')
        (hooks / name).chmod(0o755)
    return canary


@pytest.mark.parametrize("landing", ["branch", "current"])
@pytest.mark.parametrize("folder", [".git/hooks", ".husky"])
def test_no_hook_runs_from_clone_to_landing(place: Place, landing: Landing, folder: str) -> None:
    if folder == ".husky":
        place.user("echo /.husky > .git/info/exclude; git config core.hooksPath .husky")
    canary = install(place, folder)
    place.user(f"git config core.fsmonitor {place.root / folder / 'fsmonitor-watchman'}")

    work = place.borrow()
    pin_base(work.repository, "run-1", work.base)
    check_target(work.repository, landing, "result", work.base, replaceable=None)
    candidate = work.candidate("echo x > app/x; git add -A; git commit -qm x; rm docs/guide.md")
    keep_verified(work.repository, work.state, "run-1", candidate)
    landed = land(work.repository, candidate, landing, "result", "run-1")
    assert work.repository.changed_paths() == ()
    assert work.repository.landed_tasks(landed.tip) == {"TASK-1"}

    assert not canary.exists(), canary.read_text()
    place.user("git commit -q --allow-empty -m mine; git checkout -q -b other")
    ran = set(canary.read_text().split())
    assert {"pre-commit", "commit-msg", "post-checkout", "reference-transaction"} <= ran
    assert "fsmonitor-watchman" in ran
