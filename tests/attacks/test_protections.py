"""Each protection can be dropped: what `scripts/attack-mutations` edits is in the source, once."""

import pytest

from tests.attacks.mutation import Mutation
from tests.attacks.protections import MUTATIONS
from tests.attacks.surroundings import PROJECT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.protection)
def test_an_edit_fits_the_source(mutation: Mutation) -> None:
    source = PROJECT / "src/agentflow"
    found = [(source / edit.file).read_text("utf-8").count(edit.old) for edit in mutation.edits]
    assert found == [1] * len(mutation.edits)
