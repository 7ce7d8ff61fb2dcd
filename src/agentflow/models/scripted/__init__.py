"""The scripted model: a loopback server that speaks the streaming Messages API from a script.

Standard library and YAML only; nothing of the SDK. For tests, benchmarks and trying things by
hand: `python -m agentflow.models.scripted SCRIPT [--port N]`.
"""

from agentflow.models.scripted.script import Script, load_script, read_script
from agentflow.models.scripted.server import Received, ScriptedServer

__all__ = ["Received", "Script", "ScriptedServer", "load_script", "read_script"]
