"""From the regions a detector found to the crops that are read.

    planned = plan(regions, Rules())                # drop overlaps, join broken paragraphs, hide pictures in tables
    for index, item in enumerate(planned):
        if item.reading is not None:                # else a picture, or a later part of a paragraph
            if not is_blank(page.pixels, item.reading):
                jpeg = encode_jpeg(fitted(crop(page.pixels, item.reading), most_pixels))

`plan_whole_page` is the plan of a page read with one task and no layout; `picture` is the crop of a picture region.
`overlay` shows on the page what was found there, `prepared` what was done to the page before.
"""

from gateway.regions.crops import crop, encode_jpeg, fitted, is_blank, picture
from gateway.regions.overlaps import without_overlaps
from gateway.regions.overlay import encode, overlay
from gateway.regions.plan import Rules, plan, plan_whole_page
from gateway.regions.prepared import prepared

__all__ = [
    "Rules",
    "crop",
    "encode",
    "encode_jpeg",
    "fitted",
    "is_blank",
    "overlay",
    "picture",
    "plan",
    "plan_whole_page",
    "prepared",
    "without_overlaps",
]
