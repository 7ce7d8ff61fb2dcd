"""Entry of `python3 -I -S -B <this directory> [landlock FD]`: names the directory, then serves;
under Landlock, if a launch is given on a descriptor."""

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

if sys.argv[1:2] == ["landlock"]:
    from agentflow.toolbox import landlock

    landlock.main(int(sys.argv[2]))
else:
    from agentflow.toolbox import server

    server.main()
