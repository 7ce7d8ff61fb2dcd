"""The configuration as text: TOML with the reason of each line, safe whatever a repository says."""

from collections.abc import Iterable, Iterator, Mapping

from agentflow.init.proposal import GateProposal, Install, Proposal, ServiceProposal
from agentflow.neutral import one_line

WIDTH = 200
"""Characters of one comment's text."""
_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def render(proposal: Proposal) -> str:
    """Return the text of `.orchestrator/config.toml`."""
    return "".join(f"{line}\n" for line in _lines(proposal))


def _lines(proposal: Proposal) -> Iterator[str]:
    yield "# Written by `agentflow init` from this repository's files. Correct what is not right,"
    yield "# and commit it: a run reads it from the commit that it starts from."
    yield ""
    yield 'prompt = "agent"  # who the agent is, in tasks that name no prompt'
    yield "max_cost = 5.0  # US dollars that one run may cost"
    yield from _environment(proposal.installs)
    for service in proposal.services:
        yield from _service(service)
    if not proposal.live:
        yield from _no_gate(proposal)
    for gate in proposal.gates:
        yield from _gate(gate)
    if proposal.notes:
        yield ""
        yield "# Seen, and no gate:"
        yield from (f"# - {one_line(note, WIDTH)}" for note in proposal.notes)


def _no_gate(proposal: Proposal) -> Iterator[str]:
    yield ""
    yield "# A run refuses to start without a gate: it could verify nothing."
    if not proposal.gates:
        yield "# [[gates]]"
        yield '# name = "test"'
        yield '# command = "<a command that exits with 0 if all is well>"'


def _environment(installs: tuple[Install, ...]) -> Iterator[str]:
    steps = [install for install in installs if install.command]
    if steps:
        yield ""
        yield "# Runs once for each content of the key's files, on a clean checkout; what it provides"
        yield "# is read-only for the agent and the gates."
        yield from (f"# {one_line(step.reason, WIDTH)}" for step in steps)
        yield "[environment]"
        yield f"setup = {_text(_setup(steps))}"
        for name, values in (
            ("key", (path for step in steps for path in step.key)),
            ("provides", (path for step in steps for path in step.provides)),
            ("scratch", (path for step in steps for path in step.scratch)),
        ):
            listed = tuple(dict.fromkeys(values))
            if listed:
                yield f"{name} = {_list(listed)}"
        yield from _network(steps)
    told = "For setup, agent and gates."
    yield from _variables("environment.variables", told, [each.variables for each in installs])
    told = "For the agent, whose tree is read-only but for what a task allows."
    given = [each.agent_variables for each in installs]
    yield from _variables("environment.agent.variables", told, given)


def _setup(steps: list[Install]) -> str:
    if len(steps) == 1:
        return steps[0].command
    return " && ".join(f"({step.command})" for step in steps)


def _network(steps: list[Install]) -> Iterator[str]:
    hosts = tuple(dict.fromkeys(host for step in steps for host in step.hosts))
    yield "# Hosts that setup may reach, and nobody else. They count once you have said"
    yield "# `agentflow trust`: read them first, they come from files of the repository or from the"
    yield "# settings of its tools on this machine."
    if hosts:
        yield f"network = {_list(hosts)}"
    for step in (step for step in steps if not step.hosts):
        yield f"# for `{one_line(step.command, WIDTH)}`, the hosts that it downloads from:"
        yield '# network = ["<host of your registry>", "<host of its files>"]'


def _variables(table: str, told: str, given: Iterable[Mapping[str, str]]) -> Iterator[str]:
    merged = {name: value for each in given for name, value in each.items()}
    if merged:
        yield ""
        yield f"# {told}"
        yield f"[{table}]"
        yield from (f"{name} = {_text(value)}" for name, value in merged.items())


def _service(service: ServiceProposal) -> Iterator[str]:
    yield ""
    yield f"# {one_line(service.reason, WIDTH)}. If the tests need it, remove the marks: it is then"
    yield "# started from this machine's programs for the agent, and again for each gate. It counts"
    yield "# once you have said `agentflow trust`."
    pairs = ", ".join(f"{name} = {_text(value)}" for name, value in service.variables.items())
    for line in (
        f"[services.{service.name}]",
        f"command = {_text(service.command)}",
        f"ready = {_text(service.ready)}",
        f"env = {{ {pairs} }}",
    ):
        yield f"# {line}"


def _gate(gate: GateProposal) -> Iterator[str]:
    yield ""
    yield f"# {one_line(gate.reason, WIDTH)}"
    fields = [f"name = {_text(gate.name)}", f"command = {_text(gate.command)}"]
    fields += [f"cwd = {_text(gate.cwd)}"] if gate.cwd else []
    fields += [f"paths = {_list(gate.paths)}"] if gate.paths else []
    fields += ['where = "ci"  # a run lists it and does not run it'] if gate.ci else []
    fields += ["fix = true  # its changes to allowed files become part of the result"] * gate.fix
    yield from (line if gate.live else f"# {line}" for line in ("[[gates]]", *fields))


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(_text(value) for value in values)}]"


def _text(value: str) -> str:
    """A TOML string on one line, literal where that spares escapes."""
    quoted = '"' in value or "\\" in value
    if quoted and "'" not in value and value.isprintable():
        return f"'{value}'"
    return f'"{"".join(map(_character, value))}"'


def _character(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character.isprintable():
        return character
    number = ord(character)
    if 0xD800 <= number <= 0xDFFF:
        return "\ufffd"
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"
