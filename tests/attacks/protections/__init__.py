"""The product's protections, each with the edit of the source that drops it and what should notice.

A protection that has a twin is dropped together with it. The PID namespace is never dropped: a
`kill -9 -1` would reach the neighbours; what Landlock holds is tried inside the outer one.
"""

from tests.attacks.protections import (
    configuration,
    evidence,
    imports,
    landlock,
    limits,
    mounts,
    network,
    output,
    processes,
)

MUTATIONS = (
    *mounts.MUTATIONS,
    *processes.MUTATIONS,
    *limits.MUTATIONS,
    *network.MUTATIONS,
    *imports.MUTATIONS,
    *evidence.MUTATIONS,
    *configuration.MUTATIONS,
    *output.MUTATIONS,
    *landlock.MUTATIONS,
)
"""All, in the order of the table."""
