"""From a prompt file to the exact text that the model reads."""
