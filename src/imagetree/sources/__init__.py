"""Archives, folders, tables and lists of images: what lies in them, where, and what it shows.

`find_source` sees what a place holds, `scan_source` gives its images with their wnids. A place is a
local path or a URL. Nothing here knows the database.
"""
