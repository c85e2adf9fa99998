"""Mail of the site: links that reset a password, and the mailing list."""
