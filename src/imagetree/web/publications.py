"""What this system is built on, as a page and as BibTeX; and the page about the site itself."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from imagetree import __version__
from imagetree.database.figures import categories, statistics
from imagetree.web.caching import unless_changed
from imagetree.wordnet import gloss_of, load_nouns

if TYPE_CHECKING:
    from imagetree.web.site import Site


class Publication(NamedTuple):
    """A work that something here is built on.

    Args:
        key: in BibTeX.
        kind: of entry: inproceedings, article, book, misc.
        authors: joined by " and ", as BibTeX has them.
        title: of the work.
        venue: journal, proceedings, publisher or archive.
        year: of publication.
        used_for: what of it is here.
        more: further fields of BibTeX.
    """

    key: str
    kind: str
    authors: str
    title: str
    venue: str
    year: int
    used_for: str
    more: tuple[tuple[str, str], ...] = ()

    @property
    def bibtex(self) -> str:
        """The entry."""
        places = {"article": "journal", "inproceedings": "booktitle", "book": "publisher"}
        fields = [
            ("author", self.authors),
            ("title", f"{{{self.title}}}"),
            (places.get(self.kind, "howpublished"), self.venue),
            ("year", str(self.year)),
            *self.more,
        ]
        lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields)
        return f"@{self.kind}{{{self.key},\n{lines}}}\n"


PUBLICATIONS = (
    Publication(
        "deng2009imagenet",
        "inproceedings",
        "Deng, Jia and Dong, Wei and Socher, Richard and Li, Li-Jia and Li, Kai and Fei-Fei, Li",
        "ImageNet: A Large-Scale Hierarchical Image Database",
        "IEEE Conference on Computer Vision and Pattern Recognition",
        2009,
        "images by WordNet's synsets, and the dynamic consensus of votes",
        (("pages", "248--255"),),
    ),
    Publication(
        "miller1995wordnet",
        "article",
        "Miller, George A.",
        "WordNet: A Lexical Database for English",
        "Communications of the ACM",
        1995,
        "the hierarchy of nouns",
        (("volume", "38"), ("number", "11"), ("pages", "39--41")),
    ),
    Publication(
        "fellbaum1998wordnet",
        "book",
        "Fellbaum, Christiane",
        "WordNet: An Electronic Lexical Database",
        "MIT Press",
        1998,
        "the hierarchy of nouns",
    ),
    Publication(
        "russakovsky2015imagenet",
        "article",
        "Russakovsky, Olga and Deng, Jia and Su, Hao and Krause, Jonathan and Satheesh, Sanjeev"
        " and Ma, Sean and Huang, Zhiheng and Karpathy, Andrej and Khosla, Aditya"
        " and Bernstein, Michael and Berg, Alexander C. and Fei-Fei, Li",
        "ImageNet Large Scale Visual Recognition Challenge",
        "International Journal of Computer Vision",
        2015,
        "the challenge: its kits, errors and intervals",
        (("volume", "115"), ("number", "3"), ("pages", "211--252")),
    ),
    Publication(
        "krizhevsky2012imagenet",
        "inproceedings",
        "Krizhevsky, Alex and Sutskever, Ilya and Hinton, Geoffrey E.",
        "ImageNet Classification with Deep Convolutional Neural Networks",
        "Advances in Neural Information Processing Systems",
        2012,
        "AlexNet, and how it is trained",
        (("volume", "25"), ("pages", "1097--1105")),
    ),
    Publication(
        "krizhevsky2014one",
        "misc",
        "Krizhevsky, Alex",
        "One weird trick for parallelizing convolutional neural networks",
        "arXiv:1404.5997",
        2014,
        "a variant of AlexNet",
    ),
    Publication(
        "ioffe2015batch",
        "inproceedings",
        "Ioffe, Sergey and Szegedy, Christian",
        "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate"
        " Shift",
        "International Conference on Machine Learning",
        2015,
        "a variant of AlexNet",
        (("pages", "448--456"),),
    ),
    Publication(
        "deng2012hedging",
        "inproceedings",
        "Deng, Jia and Krause, Jonathan and Berg, Alexander C. and Fei-Fei, Li",
        "Hedging Your Bets: Optimizing Accuracy-Specificity Trade-offs in Large Scale Visual"
        " Recognition",
        "IEEE Conference on Computer Vision and Pattern Recognition",
        2012,
        "answers that are as specific as is safe",
        (("pages", "3450--3457"),),
    ),
    Publication(
        "bertinetto2020making",
        "inproceedings",
        "Bertinetto, Luca and Mueller, Romain and Tertikas, Konstantinos and Samangooei, Sina"
        " and Lord, Nicholas A.",
        "Making Better Mistakes: Leveraging Class Hierarchies with Deep Networks",
        "IEEE/CVF Conference on Computer Vision and Pattern Recognition",
        2020,
        "how severe a mistake is",
        (("pages", "12506--12515"),),
    ),
    Publication(
        "beyer2020are",
        "misc",
        "Beyer, Lucas and Henaff, Olivier J. and Kolesnikov, Alexander and Zhai, Xiaohua"
        " and van den Oord, Aaron",
        "Are we done with ImageNet?",
        "arXiv:2006.07159",
        2020,
        "scores against several true labels of an image",
    ),
    Publication(
        "yang2020towards",
        "inproceedings",
        "Yang, Kaiyu and Qinami, Klint and Fei-Fei, Li and Deng, Jia and Russakovsky, Olga",
        "Towards Fairer Datasets: Filtering and Balancing the Distribution of the People Subtree"
        " in the ImageNet Hierarchy",
        "Conference on Fairness, Accountability, and Transparency",
        2020,
        "hiding synsets, as those of people",
        (("pages", "547--558"),),
    ),
    Publication(
        "bruls2000squarified",
        "inproceedings",
        "Bruls, Mark and Huizing, Kees and van Wijk, Jarke J.",
        "Squarified Treemaps",
        "Data Visualization 2000",
        2000,
        "the treemap of a synset",
        (("pages", "33--42"),),
    ),
)
"""By what they are for: the database, the challenge, the network, its answers, the site."""

LICENCES = (
    ("imagetree", "Apache-2.0"),
    ("WordNet 3.0", "WordNet licence, Princeton University; its text is in the package"),
    ("htmx", "Zero-Clause BSD; served by this site as it was published"),
)
"""Of what the site is made of and sends."""


def create_router(site: Site) -> APIRouter:
    """Publications and About, with their JSON twins."""
    router = APIRouter()

    @router.get("/publications.json")
    def publications_twin() -> dict[str, Any]:
        """What this system is built on."""
        return _publications()

    @router.get("/publications.bib", response_class=PlainTextResponse)
    def bibtex() -> str:
        """The same as BibTeX."""
        return "\n".join(each.bibtex for each in PUBLICATIONS)

    @router.get("/publications", include_in_schema=False)
    def publications(request: Request) -> Response:
        unless_changed(site, request)
        return site.page(request, "publications.html", _publications())

    @router.get("/about.json")
    def about_twin() -> dict[str, Any]:
        """Versions, licences and the figures of the database."""
        return _about(site)

    @router.get("/about", include_in_schema=False)
    def about(request: Request) -> Response:
        unless_changed(site, request)
        return site.page(request, "about.html", _about(site))

    return router


def _publications() -> dict[str, Any]:
    return {"publications": [each._asdict() | {"bibtex": each.bibtex} for each in PUBLICATIONS]}


def _about(site: Site) -> dict[str, Any]:
    figures = statistics(site.database)._asdict()
    return {
        "figures": figures,
        "categories": [row._asdict() for row in categories(site.database)],
        "num_nouns": len(load_nouns()),
        "has_glosses": gloss_of(load_nouns().wnids[0]) is not None,
        "versions": {
            "imagetree": __version__,
            "WordNet": "3.0 (nouns)",
            "Python": platform.python_version(),
            "database": site.database.engine.dialect.name,
        },
        "licences": dict(LICENCES),
    }
