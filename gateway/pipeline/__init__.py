"""The one room that knows the order of the stages: decode, layout, crops, recognition, assembly.

async with pipeline.read(data, options) as run:
    async for page in run.pages: ...
over_pages(pages, options)                          # tables joined, titles levelled, once all pages are there
"""

from gateway.pipeline.documents import Pipeline, Run
from gateway.pipeline.results import over_pages, style_of

__all__ = ["Pipeline", "Run", "over_pages", "style_of"]
