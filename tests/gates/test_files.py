"""The files gate: declared files there in the result and hold something."""

from agentflow.gates.files import FilesGate
from agentflow.results import Evidence
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


async def test_a_deleted_file_must_be_gone(work: Work) -> None:
    candidate = work.candidate("rm docs/guide.md; echo x > app/x")

    gone = await FilesGate(work.state, ("app/x",), ("docs/guide.md",)).measure(candidate)
    there = await FilesGate(work.state, (), ("app/main.py",)).measure(candidate)

    assert gone == Evidence("files", "passed", "1 declared file there, 1 other gone")
    assert (there.status, there.summary) == ("failed", "app/main.py is still there")


async def test_a_commit_must_change_something_that_is_declared(work: Work) -> None:
    candidate = work.candidate("echo x > app/x; rm docs/guide.md")

    async def status(files: tuple[str, ...], deleted: tuple[str, ...] = ()) -> str:
        gate = FilesGate(work.state, files, deleted, touched=True)
        return (await gate.measure(candidate)).summary

    assert await status(("app/main.py", "app/x")) == "2 declared files there"
    assert await status(("app/main.py",), ("docs/guide.md",)) == (
        "1 declared file there, 1 other gone"
    )
    assert await status(("app/main.py",)) == "no commit changes any of app/main.py"


async def test_a_link_counts_as_what_it_leads_to_in_the_result(work: Work) -> None:
    candidate = work.candidate(
        "echo x > app/x; : > app/empty; ln -s x app/to-x; ln -s nowhere app/broken;"
        " ln -s empty app/to-empty; ln -s round app/round;"
        " ln -s ../app app/to-folder"
    )

    async def failures(*names: str) -> str:
        files = tuple(f"app/{name}" for name in names)
        return (await FilesGate(work.state, files).measure(candidate)).summary

    assert await failures("to-x") == "1 declared file there"
    assert await failures("broken", "to-empty", "round", "to-folder") == (
        "app/broken is a link to nothing; app/to-empty is empty; "
        "app/round is a link to nothing; "
        "app/to-folder is a link to nothing"
    )
    still = await FilesGate(work.state, (), ("app/broken",)).measure(candidate)
    assert still.summary == "app/broken is still there"


async def test_an_area_must_hold_a_file_and_what_has_no_place_is_told(work: Work) -> None:
    candidate = work.candidate("mkdir lib; : > lib/empty; echo x > app/x")

    async def measure(*areas: str, touched: bool = False) -> Evidence:
        gate = FilesGate(work.state, (), areas=areas, touched=touched, unplaced=("D:\\x",))
        return await gate.measure(candidate)

    told = ("not checked, it has no place here: D:\\x",)
    assert await measure("app/", "app/*") == Evidence(
        "files", "passed", "2 declared areas not empty", notices=told
    )
    empty = await measure("lib/", "app")
    assert (empty.status, empty.summary) == ("failed", "no file in lib/")
    assert (await measure("docs", touched=True)).summary == "no commit changes any of docs"
    assert await measure() == Evidence(
        "files", "skipped", "none of what is declared has a place", notices=told
    )
