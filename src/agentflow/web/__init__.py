"""The dashboard: a server of pages about the runs of one repository, for the user's own browser."""
