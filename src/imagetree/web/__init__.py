"""The site: a user's own database in a browser, each page with a JSON twin."""
