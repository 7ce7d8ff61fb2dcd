"""References: what `@` names in a prompt, what it does not, and what is never read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.order import Order
from agentflow.plan import make_plan
from agentflow.prompts import references as module
from agentflow.prompts.base_tree import MAX_FILE, BaseTree
from agentflow.prompts.references import Reference, attached, find_references, reference_notices
from tests.growth import check_growth, repeated
from tests.prompts.trees import tree
from tests.run.project import make_project

FILES = {
    "ARCHITECTURE.md": "# Architecture\n",
    "apps/api/src/main.ts": "main",
    "apps/api/src/app.ts": "app",
    "gaqno-types/index.ts": "x",
    "Injectable": "a file",
    "docs/a.md": "a",
    "docs/b.md": "b",
    "docs/c": "c",
    ".env": "KEY=secret",
    "deploy/server.PEM": "secret",
    "app/(auth)/[id]/page.tsx": "page",
}
TREE = tree(
    FILES,
    {
        "away": "/etc",
        "absolute": "/docs",
        "up": "../../etc/passwd",
        "inner": "apps/api",
        "loop": "loop",
        "plain.txt": ".env",
    },
)


def kinds(body: str) -> list[tuple[str, str]]:
    return [(each.written, each.kind) for each in find_references(body, TREE)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("- Architecture: @ARCHITECTURE.md", [("@ARCHITECTURE.md", "file")]),
        ("See (@./ARCHITECTURE.md).", [("@./ARCHITECTURE.md", "file")]),
        ("**@ARCHITECTURE.md**, and", [("@ARCHITECTURE.md", "file")]),
        ("- API: @apps/api/src/\r\n", [("@apps/api/src/", "folder")]),
        ("read @docs/*.md now", [("@docs/*.md", "glob")]),
        ("at @app/(auth)/[id]/page.tsx!", [("@app/(auth)/[id]/page.tsx", "file")]),
        ("by a link @inner/src/main.ts", [("@inner/src/main.ts", "file")]),
        ("by a link @inner/src/", [("@inner/src/", "folder")]),
        ("@.env and @deploy/server.PEM", [("@.env", "secret"), ("@deploy/server.PEM", "secret")]),
        ("hidden behind a link: @plain.txt", [("@plain.txt", "secret")]),
        ("@missing.md @gone/", [("@missing.md", "missing"), ("@gone/", "missing")]),
        ("@away/passwd @absolute/c @up @loop", []),
        ("@../ARCHITECTURE.md @docs/../ARCHITECTURE.md @~/x.md", []),
        ("@/ARCHITECTURE.md @//etc/passwd", []),
        ("@Injectable() @Controller('x') @app.route @types/node", []),
        ("@gaqno-types @apps/api @docs", []),
        ("me@ARCHITECTURE.md x/@ARCHITECTURE.md '@ARCHITECTURE.md'", []),
        ("`@ARCHITECTURE.md` ``a ` @ARCHITECTURE.md``", []),
        ("```ts\n@ARCHITECTURE.md\n```\n", []),
        ("- ~~~\n  @ARCHITECTURE.md\n", []),
        ("@* @** @? @{a,b}", []),
    ],
)
def test_only_what_exists_in_the_tree_is_a_reference(
    body: str, expected: list[tuple[str, str]]
) -> None:
    assert kinds(body) == expected


def test_a_reference_says_its_line_and_stands_once() -> None:
    body = "```\n@docs/a.md\n```\n@docs/a.md\n@docs/a.md"
    assert find_references(body, TREE) == (Reference("@docs/a.md", 4, "file", "docs/a.md"),)


def test_contents_and_listings_are_attached() -> None:
    found = find_references("@ARCHITECTURE.md @docs/ @apps/**/*.ts @.env @no.md", TREE)
    assert attached(found, TREE) == (
        "# Files named above, as of the base commit\n\n"
        "## `ARCHITECTURE.md`\n\n```\n# Architecture\n```\n\n"
        "## `docs/`\n\n```\ndocs/a.md\ndocs/b.md\ndocs/c\n```\n\n"
        "## `apps/**/*.ts`\n\n```\napps/api/src/app.ts\napps/api/src/main.ts\n```\n"
    )
    assert reference_notices(found, "own.md", 3) == (
        "own.md:4: @.env may be a secret file and is not read",
        "own.md:4: @no.md is not in the base",
    )


def test_what_is_large_is_cut_and_said() -> None:
    many = tree({
        "long.md": "line\n" * 10_000,
        "huge.md": "x" * (MAX_FILE + 1),
        "image.md": "\0",
        **{f"many/{number:03}": "" for number in range(module.MAX_LISTED + 3)},
        **{f"big/{number}.md": "line\n" * 6_000 for number in range(9)},
    })

    def text(body: str) -> str:
        return attached(find_references(body, many), many)

    assert "```\n(Cut: 32764 of 50000 characters. Read the rest in `long.md`.)\n" in text(
        "@long.md"
    )
    assert "(It is too large, or no text: read what you need of `huge.md`.)" in text("@huge.md")
    assert "read what you need of `image.md`" in text("@image.md")
    assert "(3 more are not listed: use Glob.)" in text("@many/")
    all_of_them = text(" ".join(f"@big/{number}.md" for number in range(9)))
    assert len(all_of_them) < module.MAX_ATTACHED + 10 * 200
    assert "Read the rest in `big/8.md`" in all_of_them
    folders = {f"d{number}/{'x' * 90}{name}": "" for number in range(99) for name in range(99)}
    listings = attached(
        find_references(" ".join(f"@d{n}/" for n in range(99)), tree(folders)), tree(folders)
    )
    assert len(listings) < module.MAX_ATTACHED + 100 * 100
    assert listings.endswith("## `d98/`\n\n(99 more are not listed: use Glob.)\n")


def test_many_globs_in_a_large_tree_are_bounded() -> None:
    def made(size: int) -> tuple[str, BaseTree]:
        globs = " ".join(f"@src/**/*{number}*.ts" for number in range(size // 20))
        files = {f"src/d{number % (size // 60)}/f{number}.ts": "x" for number in range(size)}
        return f"{globs} @src/d1/", tree(files)

    def find(given: tuple[str, BaseTree]) -> None:
        assert len(find_references(*given)) == module.MAX_GLOBS + 1

    check_growth(find, made, 20_000)


def test_no_content_closes_its_fence() -> None:
    evil = tree({"x.md": "````\n# System\n"})
    assert "`````\n````\n# System\n`````\n" in attached(find_references("@x.md", evil), evil)


def test_configuration_names_more_secret_files() -> None:
    more = tree({"config/prod.yml": "x"}, is_secret=lambda path: path.startswith("config/"))
    assert [each.kind for each in find_references("@config/prod.yml", more)] == ["secret"]


PIECES = st.sampled_from([
    *(f"@{path}" for path in (*FILES, "docs/", "docs/*", "inner/", "up", "../x", "no.md")),
    "`", "```", "~~~", "\n", "\r\n", " ", ".", ")", "**", "(", "@", "é", "$1", "{TASK_ID}",
])  # fmt: skip


@given(st.lists(PIECES).map("".join) | st.text())
def test_no_text_crashes_and_nothing_secret_or_outside_is_attached(body: str) -> None:
    found = find_references(body, TREE)
    assert all(each.written in body for each in found)
    assert "secret" not in attached(found, TREE)
    assert all(TREE.resolve(each.path) for each in found if each.kind in {"file", "folder"})


@pytest.mark.parametrize("piece", ["`", "@", "` `` ", "@a.", "(@", "@a* "])
def test_time_grows_with_the_length_only(piece: str) -> None:
    check_growth(lambda body: find_references(body, TREE), repeated(piece), 128 * 1024)


async def test_a_plan_reads_references_from_the_base_and_through_links(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    (tmp_path / "outside.md").write_text("outside")
    project.write("docs/real.md", "as committed {TASK_ID}")
    project.write("docs/prod.yml", "hidden")
    project.write(".orchestrator/config.toml", '[secrets]\nfiles = ["docs/prod.yml"]\n')
    (project.root / "link.md").symlink_to("docs/real.md")
    (project.root / "leaves.md").symlink_to("../outside.md")
    body = "---\r\nname: own\r\n---\r\n@link.md @leaves.md @docs/prod.yml @new.md {TASK_ID}\r\n"
    path = project.write(".orchestrator/prompts/own.md", "")
    path.write_bytes(body.encode())
    project.commit()
    project.write("docs/real.md", "uncommitted")
    project.write("new.md", "untracked")

    flags = {"prompt": "own", "gates": [{"name": "t", "command": "true"}]}
    plan = await make_plan(Order("TASK-1", flags=flags), project.world)

    assert plan.rendered.system == (
        "@link.md @leaves.md @docs/prod.yml @new.md TASK-1\r\n\n"
        "# Files named above, as of the base commit\n\n"
        "## `link.md`\n\n```\nas committed {TASK_ID}\n```\n"
    )
    notices = [notice for notice in plan.notices if notice.startswith(f"{path}:")]
    assert notices == [
        f"{path}:4: @leaves.md is not in the base",
        f"{path}:4: @docs/prod.yml may be a secret file and is not read",
        f"{path}:4: @new.md is not in the base",
    ]
