"""Pages: what details look like in a browser. Pure functions from records to HTML."""
