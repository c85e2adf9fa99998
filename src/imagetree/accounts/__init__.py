"""Who uses the site: names, passwords, sessions, tokens, roles, and the log of all of it."""
