"""Entry of `python3 -I -S -B <this file> [landlock FD]`: names its directory, then serves; under
Landlock, if a launch is given on a descriptor.

The toolbox starts with every sandbox: what few calls need is imported where it is needed.
"""

import sys
from pathlib import Path
from types import ModuleType


def _name_packages(directory: str) -> None:
    """Make `agentflow.toolbox` importable where agentflow is not installed.

    The directory leaves `sys.path`, so that no module of ours hides one of the standard library.
    """
    if directory in sys.path:
        sys.path.remove(directory)
    for name, places in (("agentflow", []), ("agentflow.toolbox", [directory])):
        package = ModuleType(name)
        package.__path__ = places
        sys.modules[name] = package


_name_packages(str(Path(__file__).parent))

if sys.argv[1:2] == ["landlock"]:
    from agentflow.toolbox import landlock

    landlock.main(int(sys.argv[2]))
else:
    from agentflow.toolbox import server

    server.main()
