"""From a plan and the VLM's answers to blocks, Markdown and the flat view.

    page = assemble(planned, answers, width, Style())    # answers: index in the plan -> Recognition or Failure
    page.blocks, page.markdown                           # what a PageResult wants
    page.pictures                                        # path -> region, for `regions.picture` and `encode_jpeg`
    document_markdown([page.markdown for page in pages])
    flat_results(page.blocks, number)                    # the `results` of the answer

Over a whole document `join_tables` and `level_titles` take the blocks of all pages and give them back changed.
"""

from gateway.assemble.across import join_tables
from gateway.assemble.flat import FlatResult, flat_results, plain_text
from gateway.assemble.markdown import IGNORED, Style, block_markdown, document_markdown, page_markdown
from gateway.assemble.page import Assembled, assemble, failure, image_path
from gateway.assemble.titles import level_titles

__all__ = [
    "IGNORED",
    "Assembled",
    "FlatResult",
    "Style",
    "assemble",
    "block_markdown",
    "document_markdown",
    "failure",
    "flat_results",
    "image_path",
    "join_tables",
    "level_titles",
    "page_markdown",
    "plain_text",
]
