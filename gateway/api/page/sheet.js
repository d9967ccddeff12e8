// One page of the answer as elements: its picture with the regions over it, and beside it what was read.
import { mathOf, withMath } from "/page/math.js";
import { say } from "/page/words.js";

const SVG = "http://www.w3.org/2000/svg";
const MARGINS = new Set(["number", "footnote", "header", "header_image", "footer", "footer_image", "aside_text"]);
const CELLS = new Set(["TABLE", "THEAD", "TBODY", "TR", "TD", "TH"]);
const policy = window.trustedTypes?.createPolicy("tables", { createHTML: (html) => html });

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export function kindOf(label) {
  if (MARGINS.has(label)) return "margin";
  if (label.includes("title")) return "title";
  if (label === "table") return "table";
  if (label.includes("formula")) return "formula";
  if (["image", "chart", "seal", "figure"].includes(label)) return "figure";
  return "text";
}

export function blobOf(base64, type) {
  return new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], { type });
}

// A table of the answer, rebuilt of cells and text alone: the HTML is parsed where nothing in it runs or loads.
function tableOf(html) {
  const parsed = new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");
  const table = parsed.querySelector("table");
  return table ? rebuilt(table) : document.createTextNode(parsed.body.textContent);
}

function rebuilt(node) {
  if (node.nodeType === Node.TEXT_NODE) return withMath(node.data);
  const inside = [...node.childNodes].filter((child) => [Node.TEXT_NODE, Node.ELEMENT_NODE].includes(child.nodeType));
  if (node.nodeName === "BR") return document.createElement("br");
  const made = CELLS.has(node.nodeName) ? document.createElement(node.nodeName) : document.createDocumentFragment();
  for (const name of ["rowspan", "colspan"]) {
    const span = Number.parseInt(node.getAttribute(name), 10);
    if (CELLS.has(node.nodeName) && span > 1 && span <= 1000) made.setAttribute(name, span);
  }
  made.append(...inside.filter((child) => !["SCRIPT", "STYLE"].includes(child.nodeName)).map(rebuilt));
  return made;
}

function contentOf(block, kind, page, urls) {
  const lines = () => block.content.split(/\n+/).filter((line) => line.trim());
  if (kind === "table") return [element("div", { className: "wide", tabIndex: 0 }, tableOf(block.content))];
  if (kind === "formula") return [mathOf(block.content.replace(/^\s*\$+|\$+\s*$/g, ""), true)];
  if (kind === "title") {
    const heading = { doc_title: "h4", paragraph_title: "h5" }[block.label];
    return [element(heading ?? "p", { className: heading ? "" : "caption" }, withMath(lines().join(" ")))];
  }
  const picture = Object.entries(page.images).find(([path]) => path.endsWith(`_box_${block.bbox.join("_")}.jpg`));
  const made = lines().map((line) => element("p", {}, withMath(line)));
  if (picture) {
    const url = URL.createObjectURL(blobOf(picture[1], "image/jpeg"));
    urls.push(url);
    made.unshift(element("img", { src: url, alt: say("image") }));
  }
  return made;
}

function blockOf(block, page, urls) {
  const kind = kindOf(block.label);
  const made = element("div", { className: `block ${kind}`, id: `block-${page.page}-${block.id}` });
  made.append(...contentOf(block, kind, page, urls));
  if (block.error) {
    made.classList.add("failed");
    const words = block.content ? say("cut") : say("unread", block.error.detail);
    made.append(element("p", { className: "note", textContent: words }));
  }
  return made.childNodes.length ? made : null;
}

function regionOf(block, page) {
  const [x0, y0, x1, y1] = block.bbox;
  const kind = kindOf(block.label);
  const shape = block.polygon
    ? drawn("polygon", { points: block.polygon.map((point) => point.join(",")).join(" ") })
    : drawn("rect", { x: x0, y: y0, width: x1 - x0, height: y1 - y0 });
  const name = `${say("labels")[kind]}${block.content ? `: ${block.content.replace(/<[^>]*>/g, " ").slice(0, 80)}` : ""}`;
  for (const [key, value] of Object.entries({ role: "button", tabindex: "-1", "aria-label": name })) {
    shape.setAttribute(key, value);
  }
  shape.setAttribute("class", `region ${kind}${block.error ? " failed" : ""}`);
  shape.dataset.block = `block-${page.page}-${block.id}`;
  return shape;
}

// Mouse, click and focus on a region show its text; arrow keys go from region to region, Enter goes to the text.
function linked(svg, read) {
  const regions = [...svg.querySelectorAll(".region")];
  const mark = (region, on) => {
    region.classList.toggle("on", on);
    read.querySelector(`#${region.dataset.block}`)?.classList.toggle("on", on);
  };
  const show = (region) =>
    read.querySelector(`#${region.dataset.block}`)?.scrollIntoView({ block: "nearest", behavior: "smooth" });
  regions[0]?.setAttribute("tabindex", "0");
  regions.forEach((region, index) => {
    region.addEventListener("pointerenter", () => mark(region, true));
    region.addEventListener("pointerleave", () => mark(region, false));
    region.addEventListener("focus", () => mark(region, true));
    region.addEventListener("blur", () => mark(region, false));
    region.addEventListener("click", () => show(region));
    region.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
      if (event.key === "Enter" || event.key === " ") show(region);
      else if (step && regions[index + step]) regions[index + step].focus();
      else return;
      event.preventDefault();
    });
  });
}

// The sheet of one page; object URLs that it uses are added to `urls`.
export function sheetOf(page, urls) {
  const scan = page.images[`imgs/page_${page.page}.jpg`];
  const picture = element("figure", { className: "picture" });
  if (scan) {
    const url = URL.createObjectURL(blobOf(scan, "image/jpeg"));
    urls.push(url);
    const size = { width: page.width, height: page.height };
    picture.append(element("img", { src: url, alt: say("picture", page.page), ...size }));
  }
  const view = { viewBox: `0 0 ${page.width} ${page.height}`, role: "group", "aria-label": say("picture", page.page) };
  const svg = drawn("svg", view);
  const size = Math.max(10, Math.round(page.width / 70));
  svg.append(...page.blocks.map((block) => regionOf(block, page)));
  for (const block of page.blocks.filter((one) => one.order !== null)) {
    const at = { x: Math.max(2 * size, block.bbox[0] - size / 3), y: block.bbox[1] + size, "font-size": size };
    const look = { class: `number ${kindOf(block.label)}`, "text-anchor": "end", "aria-hidden": "true" };
    const number = drawn("text", { ...at, ...look });
    number.textContent = block.order + 1;
    svg.append(number);
  }
  picture.append(svg);
  const read = element("div", { className: "read" });
  read.append(...page.blocks.map((block) => blockOf(block, page, urls)).filter(Boolean));
  if (!read.childNodes.length) read.append(element("p", { textContent: say("empty") }));
  linked(svg, read);
  const source = element("pre", { className: "read source", hidden: true, textContent: page.markdown, tabIndex: 0 });
  const sheet = element("article", { className: "sheet" }, element("h3", { textContent: say("page", page.page) }));
  sheet.append(picture, read, source);
  return sheet;
}
