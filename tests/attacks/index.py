"""All cases, and the ids that no case can stand for here."""

from tests.attacks.case import CASES
from tests.attacks.cases import (
    boundaries,
    environment,
    evidence,
    links,
    network,
    output,
    processes,
    repository,
    templates,
    traversal,
)

MODULES = {
    "PT": traversal,
    "SL": links,
    "BD": boundaries,
    "GT": repository,
    "EN": environment,
    "NW": network,
    "PR": processes,
    "FG": evidence,
    "OU": output,
    "TP": templates,
}
"""The category of an id, and the module of its attacks."""

NOT_RUN: dict[str, str] = {
    name: reason for module in MODULES.values() for name, reason in module.NOT_RUN.items()
}
"""Id: why it cannot be run here, in words, and what covers it instead."""

__all__ = ["CASES", "MODULES", "NOT_RUN"]
