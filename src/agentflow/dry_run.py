"""A plan in words: what a run would do, and the exact text that the model would read first."""

from agentflow.durations import format_duration
from agentflow.folding import folded
from agentflow.globs import as_written
from agentflow.neutral import neutral
from agentflow.plan import Plan
from agentflow.records import BuildCommand, Json
from agentflow.sandbox import Choice


def describe_json(plan: Plan) -> Json:
    """Return the plan as one JSON object."""
    limits = plan.limits
    return {
        "type": "plan",
        "task": plan.task.id,
        "title": plan.task.title,
        "base": plan.base,
        "branch": plan.lands_on or None,
        "land": plan.settings.land,
        "model": plan.model,
        "fallback_model": plan.fallback.model if plan.fallback else None,
        "base_url": plan.base_url,
        "server": plan.server.name,
        "sandbox": plan.sandbox.label,
        "prompt": {
            "name": plan.prompt.name,
            "path": str(plan.prompt.path),
            "sha256": plan.prompt.sha256,
            "profile": plan.prompt.profile_name,
            "sign": plan.prompt.profile_sign,
            "commits": plan.prompt.profile.commits,
            "completion": plan.prompt.profile.completion,
        },
        "tools": list(plan.prompt.tools),
        "effort": plan.effort,
        "skills": [skill.as_json for skill in plan.skills],
        "scopes": list(plan.prompt.scopes),
        "boundaries": [{"glob": glob, "enforced_by": label} for glob, label in plan.mounts.labels],
        "mounts": {
            "writable": list(plan.mounts.writable),
            "protected": list(plan.mounts.protected),
        },
        "hooks": [
            {"on": list(hook.on), "command": hook.command, "advisory": hook.advisory}
            for hook in plan.settings.hooks
        ],
        "setup": plan.environment.setup.command if plan.environment.setup else None,
        "gates": [
            {
                "name": gate.name,
                "command": gate.command,
                "cwd": gate.cwd,
                "where": gate.where,
                "must_fail_on_base": gate.must_fail_on_base,
                "fix": gate.fix,
                "report": gate.report,
                "tests": list(gate.tests),
            }
            for gate in plan.gates
        ],
        "limits": {
            "max_turns": limits.max_turns,
            "max_cost": limits.max_cost,
            "max_tokens": limits.max_tokens,
            "max_input_tokens": limits.max_input_tokens,
            "max_output_tokens": limits.max_output_tokens,
            "timeout": limits.timeout,
            "max_repairs": limits.max_repairs,
        },
        "notices": list(plan.notices),
        "system_prompt": plan.rendered.system,
        "first_message": plan.rendered.first_message,
    }


def describe(plan: Plan, width: int | None = None) -> str:
    """Return the plan as text; its facts folded for a terminal of so many columns."""
    facts = describe_json(plan)
    cost = "no limit" if plan.limits.max_cost is None else f"${plan.limits.max_cost:.2f}"
    boundaries = [f"  {as_written(b['glob']):<32} {b['enforced_by']}" for b in facts["boundaries"]]
    lines = [
        f"task       {facts['task']}  {facts['title']}",
        f"prompt     {facts['prompt']['name']} ({facts['prompt']['path']})",
        f"profile    {facts['prompt']['profile']}: {facts['prompt']['sign']}",
        f"model      {facts['model']} at {facts['base_url'] or facts['server']}",
        *([f"fallback   {facts['fallback_model']}"] if facts["fallback_model"] else []),
        f"base       {facts['base']}",
        f"landing    {facts['land']}{f': {plan.lands_on}' if plan.lands_on else ''}",
        f"sandbox    {facts['sandbox']}{_missing(plan.sandbox)}",
        f"tools      {', '.join(facts['tools'])}",
        *([f"effort     {facts['effort']}"] if facts["effort"] else []),
        *(f"skill      {skill['name']} ({skill['path']})" for skill in facts["skills"]),
        *(f"  Bash only  {scope}" for scope in facts["scopes"]),
        f"commits    {facts['prompt']['commits']}; ends by {facts['prompt']['completion']}",
        f"limits     {plan.limits.max_turns} turns, {cost}, {format_duration(plan.limits.timeout)}",
        *([f"setup      {facts['setup']}"] if facts["setup"] else []),
        *(f"hook       {', '.join(hook['on'])}: {hook['command']}" for hook in facts["hooks"]),
        "boundaries",
        *(boundaries or ["  every path but the protected ones"]),
        f"  writable mounts: {', '.join(facts['mounts']['writable'])}",
        f"  read-only on top: {', '.join(facts['mounts']['protected']) or 'nothing'}",
        "gates",
        *(f"  {gate.name:<12} {gate.command}{_notes(gate)}" for gate in plan.gates),
        *(f"note: {notice}" for notice in facts["notices"]),
        "",
    ]
    facts = neutral("\n".join(lines))
    return f"{folded(facts, width) if width else facts}\n{describe_texts(plan, width)}"


def _missing(sandbox: Choice) -> str:
    return f": does not hold here ({sandbox.problem})" if sandbox.problem else ""


def _notes(gate: BuildCommand) -> str:
    """How a gate is not like others."""
    notes = (
        f"in {gate.cwd}" if gate.cwd else "",
        "left to CI" if gate.where == "ci" else "",
        "must fail on the base" if gate.must_fail_on_base else "",
        "a formatter" if gate.fix else "",
        f"only for {', '.join(gate.paths)}" if gate.paths else "",
        f"with its report {gate.report}" if gate.report else "",
        f"which must show {', '.join(gate.tests)}" if gate.tests else "",
    )
    told = "; ".join(filter(None, notes))
    return f"  ({told})" if told else ""


def describe_texts(plan: Plan, width: int | None = None) -> str:
    """Return what the model would read first, as it is, each text below a rule."""
    rule = "─" * 60
    lines = [
        f"──── system prompt {rule}"[:width],
        plan.rendered.system,
        f"──── first message {rule}"[:width],
        plan.rendered.first_message,
    ]
    return neutral("\n".join(lines)) + "\n"
