"""What one stage hands to the next: frozen records, no I/O."""

from pathlib import Path
from typing import Any, Literal

from agentflow.frozen import record

Json = dict[str, Any]
"""One JSON object as it stands on the wire of the Messages API, or in a file."""

Commits = Literal["agent", "orchestrator", "none"]
Completion = Literal["message", "json", "report", "marker", "commit"]
Section = Literal["implemented", "files", "frontend"]
"""A part of a report: what was done, the files, and what callers must consume."""
Expectation = Literal["change", "no-change"]
Status = Literal["passed", "failed", "skipped"]
Landing = Literal["branch", "current", "none"]
Backend = Literal["auto", "bubblewrap", "landlock", "none"]
SetupNetwork = Literal["listed", "host"]
Effort = Literal["low", "medium", "high", "xhigh", "max"]
"""How thorough a model is to be: `output_config.effort` of the Messages API (`anthropic` 2.11)."""
ServerKind = Literal[
    "anthropic",
    "compatible",
    "ollama",
    "llama.cpp",
    "vllm",
    "lm-studio",
    "litellm",
    "openrouter",
    "bedrock",
    "google-cloud",
    "foundry",
]
"""What kind of server answers for a model: `models.kinds` says what each may be sent."""

WORKSPACE = "/workspace"
"""Where the work tree is mounted, the same in every sandbox of a run."""
MOUNTING: frozenset[Backend] = frozenset(("auto", "bubblewrap"))
"""Back ends that show the tree there; under the others everything is where it is on this machine."""
SKILLS = "/run/agentflow/skills"
"""Where the user's own skills are shown to an agent, read-only."""


@record
class ProcessLimits:
    """What processes in a sandbox may use; the toolbox sets and watches it.

    `memory`, `processes`, `disk` and `inodes` count everything in one sandbox together.
    """

    memory: int = 4 * 1024**3
    """Bytes. What a service uses is in it."""
    processes: int = 1024
    """Threads count too."""
    cpu: int = 8 * 3600
    """Seconds of processor time of one process."""
    file_size: int = 2 * 1024**3
    """Bytes of one file."""
    open_files: int = 4096
    """Of one process."""
    disk: int = 10 * 1024**3
    """Bytes that the disks may hold more than when the sandbox was opened. Others' writes count."""
    inodes: int = 1_000_000
    """Files and directories that they may hold more, in memory too."""


UPLOAD = 20_000_000
"""Bytes that one run may send through its proxies, if nobody says otherwise."""


@record
class Boundaries:
    """Which paths a task may change. Globs are relative to the repository's root; deny wins."""

    allow: tuple[str, ...] = ()
    """Empty means every path that is not denied or protected."""
    deny: tuple[str, ...] = ()
    within: tuple[tuple[str, ...], ...] = ()
    """Wider allow lists, each of which a path must match as well."""


@record
class BuildCommand:
    """A command that must exit with 0 on a clean checkout of the result."""

    name: str
    command: str
    """A line for bash, run at the root of the checkout."""
    timeout: float = 900.0
    """Seconds."""
    paths: tuple[str, ...] = ()
    """Globs: it runs only if the change touched one of them. Empty means always."""
    cwd: str = ""
    """The folder of the repository where it runs."""
    retries: int = 0
    """How often it may fail before it counts."""
    where: Literal["here", "ci"] = "here"
    """`ci` leaves it to a CI job."""
    must_fail_on_base: bool = False
    fix: bool = False
    """Whether its changes to allowed files are taken into the result."""
    report: str = ""
    """The JUnit XML that it writes, from `cwd` or absolute; empty if its exit code is all."""
    tests: tuple[str, ...] = ()
    """Tests that must stand in the report as passed; see `gates.junit.CaseResult.is_called`."""


@record
class Limits:
    """What a run may spend."""

    max_turns: int = 100
    max_cost: float | None = None
    """US dollars; None means unlimited."""
    max_tokens: int | None = None
    """Input and output tokens together, cache reads included; None means unlimited."""
    timeout: float = 45 * 60.0
    """Seconds of wall clock for the agent, repairs included."""
    max_repairs: int = 2
    """How often a failed verdict goes back to the agent."""
    max_input_tokens: int | None = None
    """Cache reads included; None means unlimited."""
    max_output_tokens: int | None = None
    """None means unlimited."""


@record
class Handed:
    """What a handoff asks for, as far as the block that is given back speaks of it."""

    services: tuple[tuple[str, str], ...] = ()
    """The name of each as written, and its folder; the root is an empty text."""
    endpoints: tuple[tuple[str, str], ...] = ()
    """Method and path of each."""


@record
class Task:
    """What to do, where, and what must hold."""

    id: str
    title: str
    text: str
    """The task's Markdown without its header."""
    path: Path | None = None
    """The file it was read from; None for free text."""
    prompt: str | None = None
    profile: str | None = None
    model: str | None = None
    boundaries: Boundaries = Boundaries()
    files: tuple[str, ...] = ()
    """Paths that must exist, not empty, in the result."""
    gates: tuple[BuildCommand, ...] = ()
    depends_on: tuple[str, ...] = ()
    base: str | None = None
    max_turns: int | None = None
    max_cost: float | None = None
    timeout: float | None = None
    """Seconds."""
    expect: Expectation = "change"
    sha256: str = ""
    """Of the file's bytes or of the text, in hexadecimal."""
    deleted: tuple[str, ...] = ()
    """Paths that must not exist in the result."""
    areas: tuple[str, ...] = ()
    """Folders and globs in which the result must hold a file that is not empty."""
    unplaced: tuple[str, ...] = ()
    """What a document declares and has no place in the repository, so that nobody measures it."""
    tracking_id: str = ""
    """For a batch: the id of the task whose document it stands in."""
    contract: str = ""
    """For a handoff: its words on the shapes of requests and responses."""
    handed: Handed | None = None
    """For a handoff: what is answered in the block that is given back."""
    status: Literal["", "proposed"] = ""
    """`proposed` for what an agent asked for and nobody accepted."""

    @property
    def known_as(self) -> str:
        """The id that prompts and paths of documents know."""
        return self.tracking_id or self.id


@record
class Neighbour:
    """A task that another agent works on at the same time."""

    task: str
    title: str
    allow: tuple[str, ...] = ()
    """Globs of what it may change; empty means any path."""


@record
class Profile:
    """What a prompt expects of its orchestrator."""

    variables: tuple[str, ...] = ()
    """Placeholders, as written in the prompt, that agentflow fills."""
    commits: Commits = "orchestrator"
    completion: Completion = "message"
    output_schema: Json | None = None
    documents: tuple[str, ...] = ()
    """Globs of documents that the prompt reads; copied in where git does not track them."""
    sections: tuple[Section, ...] = ()
    """Parts that its last message has, under a heading or a label each."""


@record
class Prompt:
    """Who the agent is and which tools it has: one Markdown file with a header."""

    name: str
    path: Path
    body: str
    tools: tuple[str, ...]
    model: str | None
    profile: Profile
    sha256: str
    """Of the file's bytes, in hexadecimal."""
    builtin: bool = False
    warnings: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    """Patterns such as `git:*`: each command of Bash must match one; empty without a limit."""
    max_turns: int | None = None
    """The most turns that the prompt wishes; it can only lower the limit."""
    effort: Effort | None = None
    skills: tuple[str, ...] = ()
    """Names of the skills that it asks for."""
    initial_prompt: str = ""
    """Stands before the first message."""
    lines_above: int = 0
    """Lines of the file before its body."""
    profile_name: str = "default"
    profile_sign: str = ""
    """What decided on the profile."""


@record
class Skill:
    """A skill that a prompt asked for and that was found."""

    name: str
    description: str
    path: str
    """Of its file, for the agent: relative to the work tree, or absolute."""
    sha256: str
    """Of the file's text in UTF-8, in hexadecimal."""
    source: Path | None = None
    """What must be shown for `path` to be there: the skill's folder, or its file if it has none of
    its own. None for a skill of the repository."""

    @property
    def as_json(self) -> Json:
        """What the record of a run says of it."""
        return {"name": self.name, "path": self.path, "sha256": self.sha256}


@record
class Promise:
    """One promise of an intent document."""

    name: str
    """Its id; its own words if it has none."""
    text: str


@record
class Rendered:
    """A prompt filled with one task's context."""

    system: str
    first_message: str
