"""`python -m imagetree`: the command line."""

from imagetree.cli import run

if __name__ == "__main__":
    run()
