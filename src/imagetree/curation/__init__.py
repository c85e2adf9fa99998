"""Care for the images after their import: checks, duplicates, votes, removal, releases."""
