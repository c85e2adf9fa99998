"""The steps from each schema of the database to the next, run by Alembic.

One file for each step, named by its revision. `database.store` runs them: `imagetree database
upgrade`. A new database is made from `database.schema` as it is; a test holds both to be the same.
"""
