"""The atheris target is a script of its own: it needs atheris, and is no test."""

collect_ignore = ["fuzz_site.py", "fuzz_submissions.py"]
