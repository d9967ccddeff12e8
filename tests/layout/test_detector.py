from __future__ import annotations

from gateway.document import Region
from gateway.layout.detector import numbered


def test_counts_what_is_read_and_leaves_furniture_at_its_place() -> None:
    """`order` runs without gaps from 0 over everything but furniture, whatever it was before."""
    labels = ["header", "doc_title", "table", "number", "image", "text", "footnote"]
    counted = numbered(Region(label, (0, 0, 9, 9), 0.5, order=7) for label in labels)
    assert [(region.label, region.order) for region in counted] == list(
        zip(labels, [None, 0, 1, None, 2, 3, None], strict=True)
    )
