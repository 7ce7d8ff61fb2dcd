"""Entry of `python3 -I -S -B <this directory>`: names the directory, then serves."""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path


def _name_packages(directory: str) -> None:
    """Make `agentflow.toolbox` importable where agentflow is not installed.

    The directory leaves `sys.path`, so that no module of ours hides one of the standard library.
    """
    if directory in sys.path:
        sys.path.remove(directory)
    for name, places in (("agentflow", []), ("agentflow.toolbox", [directory])):
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = places
        sys.modules[name] = module_from_spec(spec)


_name_packages(str(Path(__file__).parent))

from agentflow.toolbox.server import main  # noqa: E402  (the package has its name only now)

main()
