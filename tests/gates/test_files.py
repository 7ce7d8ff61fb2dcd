"""The files gate: declared files there in the result and hold something."""

from agentflow.gates.files import FilesGate
from agentflow.records import Evidence
from tests.workspace.place import Work


async def test_files(work: Work) -> None:
    candidate = work.candidate("echo x > app/x; : > app/empty; echo x > 'app/[y] *'")

    async def measure(*files: str) -> Evidence:
        return await FilesGate(work.state, files).measure(candidate)

    assert await measure() == Evidence("files", "skipped", "the task declares no files")
    assert await measure("app/x", "app/[y] *") == Evidence(
        "files", "passed", "2 declared files there"
    )
    assert await measure("app/x", "app/empty", "app/none", "app") == Evidence(
        "files",
        "failed",
        "app/empty is empty; app/none is missing; app is missing",
        "app/empty is empty\napp/none is missing\napp is missing",
    )


async def test_only_the_result_counts(work: Work) -> None:
    candidate = work.candidate("rm docs/guide.md")
    work.agent("echo back > docs/guide.md")

    evidence = await FilesGate(work.state, ("docs/guide.md",)).measure(candidate)

    assert evidence.status == "failed"
