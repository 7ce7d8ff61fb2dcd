"""Git: the user's repository, the agent's private clone, the import of its work, the landing.

The only package that imports git. Its functions are plain; callers run them in a thread.
"""
