"""The files of a session that hold what cannot be computed again, and where its report goes."""

SESSION = "session.json"
JOURNAL = "journal.jsonl"
REPORT = "report"  # by default
