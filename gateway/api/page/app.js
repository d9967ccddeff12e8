// Takes a document, shows its pages as they arrive, and the backend's state.
import { element, sheetOf } from "/page/sheet.js";
import { otherLanguage, say, speak, switchLanguage } from "/page/words.js";

const STATE_EVERY_MS = 10_000;
const at = (id) => document.getElementById(id);

let pages = [];
let urls = [];
let file = null;
let reading = null; // the AbortController of the request under way
let state; // the last word about the backend; null when the service did not answer
let ending = null; // makes the sentence about the last document, in the language of the moment

function clearSheets() {
  pages = [];
  for (const url of urls) URL.revokeObjectURL(url);
  urls = [];
  at("sheets").replaceChildren();
}

function clear() {
  clearSheets();
  ending = null;
  at("result").hidden = true;
  at("error").hidden = true;
}

function tell(make, failure = false) {
  ending = { make, failure };
  at("progress").textContent = failure ? "" : make();
  at("error").textContent = failure ? make() : "";
  at("error").hidden = !failure;
}

function problemWords(problem, retryAfter) {
  const known = say("errors")[problem.code] ?? say("failed");
  const more = [problem.detail, retryAfter && say("later", retryAfter), problem.request_id && say("id", problem.request_id)];
  return [known, ...more].filter(Boolean).join("\n");
}

function show(page) {
  pages.push(page);
  const sheet = sheetOf(page, urls);
  at("sheets").append(sheet);
  at("result").hidden = false;
  chooseView(at("source").ariaPressed === "true");
}

function take(line) {
  const value = JSON.parse(line);
  if ("page" in value) {
    show(value);
    tell(() => say("progress", pages.length));
  } else if (value.status === "failed") {
    tell(() => problemWords({ ...value.error, request_id: value.id }), true);
    return true;
  } else {
    const seconds = (value.timings_ms.total / 1000).toFixed(1);
    tell(() => say("done", value.usage.pages, value.usage.regions, value.usage.failed_regions, seconds));
    return true;
  }
  return false;
}

async function stream(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", closed = false;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) closed = take(line);
  }
  if (!closed) tell(() => say("lost"), true);
}

async function read(chosen) {
  reading?.abort();
  clear();
  file = chosen;
  const mine = (reading = new AbortController());
  at("stop").hidden = false;
  at("again").hidden = true;
  tell(() => say("uploading", chosen.name));
  const query = new URLSearchParams({ images: "page", pages: at("pages").value.trim(), language: at("hint").value });
  const headers = { Accept: "application/x-ndjson", "Content-Type": "application/octet-stream" };
  try {
    const response = await fetch(`/ocr?${query}`, { method: "POST", body: chosen, headers, signal: mine.signal });
    if (response.ok) {
      await stream(response);
    } else {
      const problem = await response.json().catch(() => ({}));
      tell(() => problemWords(problem, response.headers.get("Retry-After")), true);
    }
  } catch (error) {
    if (reading !== mine) return; // another document took this one's place
    if (error.name === "AbortError") tell(() => say("stopped"));
    else tell(() => say(pages.length ? "lost" : "unreachable"), true);
  } finally {
    if (reading === mine) {
      reading = null;
      at("stop").hidden = true;
      at("again").hidden = false;
    }
  }
}

async function lookAtBackend() {
  if (!document.hidden) {
    try {
      const answer = await (await fetch("/health/vllm")).json();
      state = answer.status;
    } catch {
      state = null;
    }
    showState();
  }
  setTimeout(lookAtBackend, STATE_EVERY_MS);
}

function showState() {
  if (state === undefined) return;
  const words = say("states")[state] ?? say("unreachable");
  at("backend").dataset.state = state === "ready" ? "ready" : "away";
  if (at("backend-words").textContent !== words) at("backend-words").textContent = words;
}

function chooseView(source) {
  at("source").ariaPressed = String(source);
  at("rendered").ariaPressed = String(!source);
  for (const one of at("sheets").querySelectorAll(".read")) one.hidden = one.classList.contains("source") !== source;
}

const markdown = () => pages.map((page) => page.markdown).filter(Boolean).join("\n\n") + "\n";
const stem = () => file.name.replace(/\.[^.]*$/, "") || "document";

function save(text, name, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function copy() {
  try {
    await navigator.clipboard.writeText(markdown());
  } catch { // closed without https, or by the browser; a selection can still be copied
    const area = element("textarea", { value: markdown() });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    at("copy").focus();
  }
  at("copy").textContent = say("copied");
  setTimeout(() => (at("copy").textContent = say("copy")), 2_000);
}

function inLanguage() {
  speak();
  at("language").textContent = say("other");
  at("language").lang = otherLanguage();
  showState();
  if (ending) tell(ending.make, ending.failure);
  const shown = pages;
  clearSheets();
  for (const page of shown) show(page);
}

function acceptDrops() {
  const drop = at("drop");
  const over = (event) => {
    event.preventDefault();
    drop.classList.add("over");
  };
  document.addEventListener("dragover", over);
  document.addEventListener("dragleave", (event) => event.relatedTarget || drop.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files[0]) read(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files[0]) read(event.clipboardData.files[0]);
  });
}

at("file").addEventListener("change", (event) => {
  const chosen = event.target.files[0];
  event.target.value = ""; // so that the same file can be chosen again
  if (chosen) read(chosen);
});
at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (file) read(file);
});
at("stop").addEventListener("click", () => reading?.abort());
at("again").addEventListener("click", () => read(file));
at("rendered").addEventListener("click", () => chooseView(false));
at("source").addEventListener("click", () => chooseView(true));
at("copy").addEventListener("click", copy);
at("download").addEventListener("click", () => save(markdown(), `${stem()}.md`, "text/markdown"));
at("json").addEventListener("click", () => {
  const plain = pages.map((page) => ({ ...page, images: undefined }));
  save(JSON.stringify({ pages: plain, markdown: markdown() }, null, 1), `${stem()}.json`, "application/json");
});
at("language").addEventListener("click", () => {
  switchLanguage();
  inLanguage();
});
acceptDrops();
inLanguage();
lookAtBackend();
