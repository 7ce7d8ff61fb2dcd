"""What a CI system gets of reports: one file per form."""
