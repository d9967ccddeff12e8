"""Whole pages against PaddleX's own stages, with a stand-in for the model. Differences are named in docs/parity.md."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.assemble import Style, assemble
from gateway.document import Pixels, Planned, Recognition, Region, Task
from gateway.regions import Rules, crop, plan

vl = pytest.importorskip("paddlex.inference.pipelines.paddleocr_vl.pipeline")

PROMPTS = {
    Task.OCR: "OCR:",
    Task.TABLE: "Table Recognition:",
    Task.FORMULA: "Formula Recognition:",
    Task.CHART: "Chart Recognition:",
    Task.SEAL: "Seal Recognition:",
}
ANSWERS = {
    "OCR:": [
        "One line",
        "1.2.3 Method",
        "2024年",
        "(一) 绪论",
        "IV. Results.",
        "e.g. a.b.c.d.",
        "Abstract We show",
        "References\n[1] A. B.",
        "soft-\nhyphen\nand\n\nparagraph",
        "\nlines around\n",
        r"let \(x\) be $5",
        r"\[\[y\]\] and \(z\)",
        "ab" * 40,
        "\n".join(["again"] * 20),
        "- one\n- two",
        "a | b",
        "<b>bold</b> & more",
        "",
    ],
    "Table Recognition:": [
        "<fcel>a<fcel>b<nl><fcel>c<ecel><nl>",
        "<fcel>a<lcel><nl><fcel>b & c<fcel>\\(x\\)<nl>",
        "",
    ],
    "Formula Recognition:": [r"\[ E = mc^2 \]", r"\( a \)", "x", r"\[ a \tag{1} \]"],
    "Chart Recognition:": ["Year | Sales\n2021 | 10", "flat", "a|b|c\n1|2"],
    "Seal Recognition:": ["ACME · APPROVED", "二\n三"],
}
LABELS = [
    "abstract",
    "algorithm",
    "aside_text",
    "chart",
    "content",
    "display_formula",
    "doc_title",
    "figure_title",
    "footer",
    "footer_image",
    "footnote",
    "formula_number",
    "header",
    "header_image",
    "image",
    "inline_formula",
    "number",
    "paragraph_title",
    "reference",
    "reference_content",
    "seal",
    "table",
    "text",
    "vertical_text",
    "vision_footnote",
]

Answer = Callable[[str, tuple[int, ...]], str]


@dataclass(frozen=True)
class Model:
    """Says the same to the same prompt and size of crop."""

    answer: Answer

    def predict(self, batch: Sequence[dict[str, Any]], **_: object) -> Iterator[dict[str, str]]:
        return ({"result": self.answer(item["query"], item["image"].shape[:2])} for item in batch)


def official(pixels: Pixels, regions: Sequence[Region], answer: Answer, rules: Rules, style: Style) -> tuple[Any, str]:
    """PaddleX's blocks and Markdown of a page."""
    pipeline = vl._PaddleOCRVLPipeline.__new__(vl._PaddleOCRVLPipeline)
    pipeline.crop_by_boxes = vl.CropByBoxes()
    pipeline.vl_rec_model = Model(answer)
    pipeline.layout_prep_cpu_workers = 0
    found = [{"cls_id": 0, "label": r.label, "score": r.score, "coordinate": list(r.bbox)} for r in regions]
    read = {
        "use_chart_recognition": rules.charts,
        "use_seal_recognition": rules.seals,
        "use_ocr_for_image_block": rules.pictures,
    }
    (blocks,), _, _, figures = pipeline.get_layout_parsing_results(
        [pixels[..., ::-1]],
        [{"boxes": found}],
        [vl.gather_imgs(pixels, found)],
        **read,
        merge_layout_blocks=rules.merge,
        layout_shape_mode="rect",
    )
    ignored = sorted(style.ignored)
    result = vl.PaddleOCRVLResult(
        {
            "input_path": None,
            "page_index": None,
            "width": pixels.shape[1],
            "parsing_res_list": blocks,
            "imgs_in_doc": figures[0],
            "model_settings": {**read, "use_layout_detection": True, "markdown_ignore_labels": ignored},
        }
    )
    markdown = result._to_markdown(pretty=style.pretty, show_formula_number=style.formula_numbers)
    return blocks, markdown["markdown_texts"]


@st.composite
def pages(draw: st.DrawFn) -> list[Region]:
    """A page of up to two columns; some tables hold a picture."""
    found: list[Region] = []
    for left in (0, 210)[: draw(st.integers(1, 2))]:
        y = 0
        for _ in range(draw(st.integers(1, 5))):
            label = draw(st.sampled_from([*LABELS, *["text"] * 12, *["table"] * 4]))
            x0, x1 = left + draw(st.sampled_from([0, 4, 40])), left + 200 - draw(st.sampled_from([0, 4, 40]))
            height = draw(st.sampled_from([31, 60, 120] if label == "table" else [12, 31, 60, 120]))
            found.append(Region(label, (x0, y, x1, y + height), 0.5, len(found)))
            if label == "table" and draw(st.booleans()):
                kind = draw(st.sampled_from(["image", "seal", "image", "chart"]))
                found.append(Region(kind, (x0 + 20, y + 2, x0 + 60, y + height), 0.5, len(found)))
            y += height + draw(st.integers(0, 12))
    return found


def table_answers(planned: Sequence[Planned]) -> list[str]:
    """Tables that give back all tokens that were painted into them."""
    tokens = [figure.token for item in planned if item.reading for figure in item.reading.figures]
    return ["".join(f"<fcel>{token} in<nl>" for token in tokens)] if tokens else ANSWERS["Table Recognition:"]


@settings(max_examples=1000, deadline=None, derandomize=True, database=None)
@given(pages(), st.integers(0, 999), st.builds(Rules, *[st.booleans()] * 4), st.booleans(), st.booleans())
def test_pages(found: list[Region], salt: int, rules: Rules, pretty: bool, numbers: bool) -> None:
    """Blocks, order, boxes, contents and Markdown are PaddleX's."""
    pixels = np.full((800, 420, 3), 255, np.uint8)
    pixels[3::5, 3::7] = (20, 40, 60)
    planned = plan(found, rules)
    known = {**ANSWERS, "Table Recognition:": table_answers(planned)}

    def answer(prompt: str, size: tuple[int, ...]) -> str:
        return known[prompt][(salt + size[0] * 31 + size[1]) % len(known[prompt])]

    answers = {}
    for index, item in enumerate(planned):
        if item.reading is not None:
            text = answer(PROMPTS[item.reading.task], crop(pixels, item.reading).shape[:2])
            answers[index] = Recognition(text)
    style = Style(pretty, numbers, rules.charts, rules.seals, rules.pictures)
    ours = assemble(planned, answers, 420, style)
    blocks, markdown = official(pixels, found, answer, rules, style)
    assert [(b.label, list(b.bbox), named(b.content)) for b in ours.blocks] == [
        (b.label, b.bbox, named(b.content)) for b in blocks
    ]
    assert named(ours.markdown) == named(markdown)


def named(text: str) -> str:
    """A text without the differences that have a name; the escaping of whole tables is compared by itself."""
    text = html.unescape(text).replace('alt="Image""', 'alt="Image"')
    return re.sub("^#{7,}", "######", text, flags=re.MULTILINE)
