"""Services: what a compose file starts, as programs of this machine."""

import re
import shlex

from agentflow.frozen import record
from agentflow.init.files import Files, table, texts
from agentflow.init.proposal import Proposal, ServiceProposal
from agentflow.records import Json

COMPOSE = tuple(
    f"{stem}{middle}.{end}"
    for stem in ("compose", "docker-compose")
    for middle in ("", ".test", ".dev")
    for end in ("yaml", "yml")
)
_IMAGE = re.compile(r"^[ \t]*image:[ \t]*[\"']?([\w./:@-]+)", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


@record
class Known:
    """A service that can be started from a program of this machine."""

    name: str
    images: tuple[str, ...]
    """Last names of images that hold it."""


KNOWN: tuple[Known, ...] = (
    Known("postgres", ("postgres", "postgresql", "postgis", "pgvector", "timescaledb")),
    Known("redis", ("redis", "redis-stack", "redis-stack-server", "valkey")),
)


def detect(files: Files) -> Proposal:
    """The services of the compose files at the root."""
    services: list[ServiceProposal] = []
    notes: list[str] = []
    seen: set[str] = set()
    for path in (name for name in COMPOSE if name in files):
        for image, settings in _images(files, path):
            short = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
            known = next((each.name for each in KNOWN if short in each.images), "")
            if (known or short) in seen:
                continue
            seen.add(known or short)
            reason = f"{path} starts {image}"
            if known == "postgres":
                services.append(_postgres(settings, reason))
            elif known == "redis":
                services.append(_redis(reason))
            else:
                notes.append(f"{reason}: if the tests need it, add a [services.<name>] for it")
    return Proposal(services=tuple(services), notes=tuple(notes))


def _images(files: Files, path: str) -> list[tuple[str, Json]]:
    """Image and environment of every service; without environment if the file is unusual."""
    tables = table(files.yaml(path), "services")
    found = [
        (str(table(tables, name).get("image", "")), _environment(table(tables, name)))
        for name in tables
    ]
    plain: list[tuple[str, Json]] = [(image, {}) for image in _IMAGE.findall(files.text(path))]
    return [each for each in found if each[0]] or plain


def _environment(service: Json) -> Json:
    given = service.get("environment")
    pairs = (item.partition("=") for item in texts(given))
    return {name: value for name, _, value in pairs} or table(service, "environment")


def _word(settings: Json, name: str, default: str) -> str:
    value = str(settings.get(name, ""))
    return value if _WORD.fullmatch(value) else default


def _postgres(settings: Json, reason: str) -> ServiceProposal:
    user = shlex.quote(_word(settings, "POSTGRES_USER", "postgres"))
    database = shlex.quote(_word(settings, "POSTGRES_DB", user))
    place = f"-h 127.0.0.1 -U {user}"
    return ServiceProposal(
        "postgres",
        f"initdb -D /tmp/postgres -U {user} --auth=trust >/dev/null && "
        + "exec postgres -D /tmp/postgres -k /tmp -c listen_addresses=127.0.0.1 -c fsync=off",
        f"psql {place} -d {database} -c 'select 1' || createdb {place} {database}",
        {"DATABASE_URL": f"postgresql://{user}@127.0.0.1:5432/{database}"},
        reason,
    )


def _redis(reason: str) -> ServiceProposal:
    return ServiceProposal(
        "redis",
        "exec redis-server --bind 127.0.0.1 --save '' --dir /tmp",
        "redis-cli -h 127.0.0.1 ping",
        {"REDIS_URL": "redis://127.0.0.1:6379/0"},
        reason,
    )
