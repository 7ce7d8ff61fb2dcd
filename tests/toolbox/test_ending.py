"""What is kept and what dies, asked of the module itself as PID 1 of a namespace of its own."""

import subprocess
from pathlib import Path

import pytest

from agentflow import toolbox
from agentflow.sandbox.program import toolbox_command
from tests.needs import miss

pytestmark = pytest.mark.sandbox

PRELUDE = """
import os, signal, sys, time
if os.getpid() != 1: sys.exit("not alone in a namespace")  # before anything is killed
sys.path.insert(0, sys.argv[1])
from agentflow.toolbox import ending

def child(then=lambda: None):
    process = os.fork()
    if process: return process
    then(); time.sleep(60); os._exit(0)

def exists(process): return os.path.exists(f"/proc/{process}")
def processes(): return [name for name in os.listdir("/proc") if name.isdigit()]
"""

REUSED_NUMBER = """
dead, kept = child(), child()
for process in (dead, kept): ending.keep(process)
os.kill(dead, signal.SIGKILL)
while ending.exit_code(dead) is None: ending.reap_orphans(0)
with open("/proc/sys/kernel/ns_last_pid", "w") as file: file.write(str(dead - 1))
impostor = child(os.setsid)
ending.kill_descendants()
print(impostor == dead, exists(impostor), exists(kept), ending.exit_code(dead))
"""

ZOMBIE = """
dead, kept = child(), child()
for process in (dead, kept): ending.keep(process)
orphan = os.fork()
if not orphan:
    if os.fork(): os._exit(0)
    time.sleep(60)
os.kill(dead, signal.SIGKILL)
while open(f"/proc/{dead}/stat").read().split()[2] != "Z": pass
ending.kill_descendants()
print(ending.exit_code(dead), ending.exit_code(kept), processes() == ["1", str(kept)])
"""

NOTHING_KEPT = """
kept = child()
ending.keep(kept); ending.keep_nothing()
child(os.setsid)
ending.kill_descendants()
print(processes())
"""


def _alone(bwrap: str, script: str) -> str:
    """Run a script as the first process of a PID namespace whose settings it may change."""
    namespace = ("--unshare-user", "--unshare-pid", "--as-pid-1", "--die-with-parent")
    rights = ("--uid", "0", "--cap-add", "ALL", "--dev-bind", "/", "/", "--proc", "/proc")
    source = str(Path(toolbox.__file__).parent.parent.parent)
    python = (toolbox_command("")[0], "-I", "-S", "-B", "-c", PRELUDE + script, source)
    ended = subprocess.run(
        [bwrap, *namespace, *rights, *python], capture_output=True, text=True, check=False
    )
    if "ns_last_pid" in ended.stderr:
        miss("the kernel gives no number on demand (CONFIG_CHECKPOINT_RESTORE)")
    assert ended.stderr == ""
    return ended.stdout


def test_who_gets_the_number_of_a_dead_service_dies_like_any_other(bwrap: str) -> None:
    assert _alone(bwrap, REUSED_NUMBER) == "True False True 137\n"


def test_a_service_that_just_died_is_reaped_and_the_others_stay(bwrap: str) -> None:
    assert _alone(bwrap, ZOMBIE) == "137 None True\n"


def test_nothing_is_kept_any_more_when_told_so(bwrap: str) -> None:
    assert _alone(bwrap, NOTHING_KEPT) == "['1']\n"
