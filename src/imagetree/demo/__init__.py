"""A small tree of figures and solids, drawn as JPEGs in ILSVRC's layout: the demo's own data.

Importing this package draws nothing and loads no image library; `scene.draw_image` gives one
picture, `draw_archive` the whole archive.
"""

from imagetree.demo.archive import DrawnArchive, draw_archive
from imagetree.demo.tree import FIGURES, Figure

__all__ = ["FIGURES", "DrawnArchive", "Figure", "draw_archive"]
