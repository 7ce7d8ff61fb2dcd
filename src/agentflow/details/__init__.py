"""What can be shown of a run, as frozen records: for a page, a dashboard, or whatever comes."""
