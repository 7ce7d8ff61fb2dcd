"""Git: the user's repository, the agent's private clone, the import of its work, the landing.

The only package that imports git. Its functions are plain; callers run them in a thread.
"""

import os

# GitPython looks for git when it is imported and raises an ImportError without one; what is
# missing is said in our words, when git is first needed.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
