"""Ways out."""

from tests.attacks.mutation import BWRAP, HOSTS, PROXY, Edit, Mutation, one, tested

MUTATIONS = (
    one(
        "network namespace", BWRAP, 'return ("--unshare-net",)', "return ()",
        "NW-01", "NW-02", "NW-04", "GT-10",
    ),
    one(
        "sockets of this machine not shown", "sandbox/tree.py", "    if found:\n        raise Env",
        "    if False:\n        raise Env", "NW-03",
    ),
    one(
        "proxy: hosts on the list only", PROXY, "if not permits(self._rules, host, port):", "if False:",
        "NW-06..23",
    ),
    one(
        "proxy: ports of the list only", HOSTS,
        "if port != self.port and (self.port is not None or port not in WEB_PORTS):", "if False:",
        "NW-06..23",
    ),
    one(
        "proxy: wildcards begin at a dot", HOSTS, 'host.endswith(f".{self.host}") if self.below',
        "host.endswith(self.host) if self.below", "NW-06..23",
    ),
    one(
        "proxy: no name leads to private addresses", HOSTS,
        "return any(not rule.below and rule.matches(str(parsed), port) for rule in rules)",
        "return True", "NW-06..23",
    ),
    Mutation(
        "proxy: hosts strictly written (in requests, and as names)",
        (
            Edit(
                "sandbox/proxy_request.py", "    if match is None or port is None",
                "    match = match or re.fullmatch(r'(.*):([0-9]+)', written.decode('latin-1'))\n"
                "    port = int(match[2]) if match else None\n    if match is None or port is None",
            ),
            Edit(HOSTS, "    if not _NAME.fullmatch(name):\n", "    if False:\n"),
        ),
        ("NW-06..23",),
    ),
    one(
        "proxy: names that are addresses of the C library refused", HOSTS,
        r"(?!\d+\Z|0x[0-9a-f]*\Z)", "", "NW-06..23",
    ),
    one(
        "proxy: TLS asks for a name on the list", PROXY,
        "    elif not permits(rules, opening.name, request.port):\n", "    elif False:\n", "NW-06..23",
    ),
    one(
        "proxy: uploads bounded", "sandbox/traffic.py", "        if size <= self.left:\n",
        "        if True:\n", "NW-24",
    ),
    one(
        "proxy: connections told", "sandbox/traffic.py", "            self.traffic.emit(closed)\n",
        "            pass\n", "NW-06..23", "NW-24",
    ),
    tested(
        "the list of setup is not the agent's", "workbench.py",
        'Network(self._environment.agent_network, setting="environment.agent.network")',
        "Network(self._environment.setup.network if self._environment.setup else ())",
        "tests/run/test_network.py", "-k", "not_the_agent_s",
    ),
)  # fmt: skip
