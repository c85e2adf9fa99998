"""The image database: which image lies where, by synset, over archives that stay as they are.

    with open_database("images.db", create=True) as database:
        import_source(database, "ILSVRC2012_img_train.tar")
        counts(database)

The names below are loaded when they are first used: importing a module such as `tarscan` by its
own name does not load SQLAlchemy. `journal.sources` and `journal.problems` list what was imported
and what was not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagetree.database.figures import Statistics, statistics
    from imagetree.database.hierarchy import TreeNode, interesting_root, tree
    from imagetree.database.ingest import ImportReport, import_source
    from imagetree.database.journal import (
        ProblemRow,
        SourceRow,
        set_aside,
    )
    from imagetree.database.queries import (
        ImageRow,
        counts,
        find_image,
        images_of,
        locate,
        sample,
    )
    from imagetree.database.reading import ImageReader
    from imagetree.database.store import Database, open_database

_HOMES = {
    "hierarchy": ("TreeNode", "interesting_root", "tree"),
    "ingest": ("ImportReport", "import_source"),
    "journal": ("ProblemRow", "SourceRow", "set_aside"),
    "figures": ("Statistics", "statistics"),
    "queries": ("ImageRow", "counts", "find_image", "images_of", "locate", "sample"),
    "reading": ("ImageReader",),
    "store": ("Database", "open_database"),
}

__all__ = [
    "Database",
    "ImageReader",
    "ImageRow",
    "ImportReport",
    "ProblemRow",
    "SourceRow",
    "Statistics",
    "TreeNode",
    "counts",
    "find_image",
    "images_of",
    "import_source",
    "interesting_root",
    "locate",
    "open_database",
    "sample",
    "set_aside",
    "statistics",
    "tree",
]


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
