"""Lists of submitted runs without their reports, of which each may have a million characters.

DBOS has no list that leaves out a part of what is kept beside a run, so the table is asked.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentflow.cluster.database import APPLICATION, WORKFLOW, open_session
from agentflow.cluster.entry import STATES, Entry

if TYPE_CHECKING:
    import psycopg

_LISTED = """
select workflow_uuid, status, executor_id, priority, to_timestamp(coalesce(created_at, 0) / 1000.0),
    case jsonb_typeof(attributes) when 'object' then attributes - 'report' else '{}' end
from dbos.workflow_status
where name = %s and application_name = %s and attributes @> %s
order by created_at desc limit %s
"""


def listed(url: str, facts: Mapping[str, str], *, limit: int | None = None) -> list[Entry]:
    """The runs with these facts, oldest first; of more than `limit` the newest.

    The report of each is its summary. Raises what psycopg raises.
    """
    with open_session(url, "agentflow list") as session:
        return found_in(session, facts, limit=limit)


def found_in(
    session: "psycopg.Connection", facts: Mapping[str, str], *, limit: int | None = None
) -> list[Entry]:
    """As `listed`, in a session that is open."""
    from psycopg.types.json import Jsonb

    rows = session.execute(_LISTED, (WORKFLOW, APPLICATION, Jsonb(dict(facts)), limit))
    return [_entry(*row) for row in reversed(rows.fetchall())]


def _entry(
    run: str, status: str, worker: str | None, priority: int | None, submitted: Any, facts: Any
) -> Entry:
    state = STATES[status]
    has = worker if state == "running" else None
    return Entry(run, str(facts.get("task", "")), state, facts, has, priority or 0, submitted)
