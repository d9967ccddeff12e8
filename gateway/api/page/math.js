// LaTeX as a reader would see it, in MathML; what is not known here is shown as its source.

const MATH = "http://www.w3.org/1998/Math/MathML";
const LETTERS = Object.fromEntries(
  ("alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda λ mu μ " +
    "nu ν xi ξ pi π rho ρ sigma σ tau τ upsilon υ phi φ varphi ϕ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ " +
    "Xi Ξ Pi Π Sigma Σ Phi Φ Psi Ψ Omega Ω infty ∞ partial ∂ nabla ∇ ell ℓ hbar ℏ emptyset ∅ degree °")
    .split(" ").reduce((pairs, word, i, all) => (i % 2 ? pairs : [...pairs, [word, all[i + 1]]]), []),
);
const SIGNS = Object.fromEntries(
  ("times × cdot ⋅ div ÷ pm ± mp ∓ leq ≤ le ≤ geq ≥ ge ≥ neq ≠ ne ≠ approx ≈ equiv ≡ sim ∼ propto ∝ in ∈ notin ∉ " +
    "subset ⊂ subseteq ⊆ cup ∪ cap ∩ forall ∀ exists ∃ to → rightarrow → leftarrow ← Rightarrow ⇒ Leftrightarrow ⇔ " +
    "leftrightarrow ↔ mapsto ↦ sum ∑ prod ∏ int ∫ oint ∮ ldots … cdots ⋯ dots … vdots ⋮ ddots ⋱ circ ∘ ast ∗ star ⋆ " +
    "oplus ⊕ otimes ⊗ perp ⊥ parallel ∥ angle ∠ mid ∣ prime ′ langle ⟨ rangle ⟩ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ " +
    "ll ≪ gg ≫ wedge ∧ vee ∨ neg ¬ setminus ∖ lbrace { rbrace } vert | Vert ‖ colon :")
    .split(" ").reduce((pairs, word, i, all) => (i % 2 ? pairs : [...pairs, [word, all[i + 1]]]), []),
);
const NAMES = new Set("sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp lim max min sup inf det dim gcd ker arg".split(" "));
const ACCENTS = { hat: "^", bar: "¯", overline: "¯", vec: "→", dot: "˙", ddot: "¨", tilde: "~", widehat: "^", widetilde: "~" };
const STYLES = { mathbf: "bold", mathrm: "normal", mathbb: "double-struck", mathcal: "script", mathit: "italic", boldsymbol: "bold", operatorname: "normal" };
const SPACES = { ",": ".17em", ":": ".22em", ";": ".28em", " ": ".25em", quad: "1em", qquad: "2em", "!": "0" };
const IGNORED = new Set(["left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "displaystyle", "textstyle", "limits", "nolimits", "middle"]);
const BRACKETS = { matrix: ["", ""], pmatrix: ["(", ")"], bmatrix: ["[", "]"], vmatrix: ["|", "|"], cases: ["{", ""], array: ["", ""], aligned: ["", ""] };
const LIMITS = new Set(["∑", "∏", "lim", "max", "min", "sup", "inf"]);

class Unknown extends Error {}

function node(name, children = [], attributes = {}) {
  const made = document.createElementNS(MATH, name);
  made.append(...children);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

class Reader {
  constructor(source) {
    this.tokens = source.match(/\\[A-Za-z]+|\\.|\d+(?:[.,]\d+)?|\s+|[^\s]/gsu) ?? [];
    this.at = 0;
  }

  peek() {
    while (/^\s/.test(this.tokens[this.at] ?? "")) this.at += 1;
    return this.tokens[this.at];
  }

  next() {
    const token = this.peek();
    this.at += 1;
    return token;
  }

  // What stands until one of the tokens of `ends`, as one row.
  row(...ends) {
    const made = [];
    while (this.peek() !== undefined && !ends.includes(this.peek())) made.push(this.scripted());
    if (ends.length && this.peek() === undefined) throw new Unknown("it ends too early");
    return node("mrow", made);
  }

  scripted() {
    const base = this.peek() === "^" || this.peek() === "_" ? node("mrow") : this.atom();
    let below, above;
    while (this.peek() === "^" || this.peek() === "_" || this.peek() === "'") {
      const mark = this.next();
      if (mark === "'") above = node("mo", ["′"]);
      else if (mark === "^") above = this.argument();
      else below = this.argument();
    }
    const kind = LIMITS.has(base.textContent) ? ["munder", "mover", "munderover"] : ["msub", "msup", "msubsup"];
    if (below && above) return node(kind[2], [base, below, above]);
    if (below) return node(kind[0], [base, below]);
    return above ? node(kind[1], [base, above]) : base;
  }

  argument() {
    if (this.peek() !== "{") return this.atom();
    this.next();
    const made = this.row("}");
    this.next();
    return made;
  }

  // The raw text in braces.
  words() {
    if (this.next() !== "{") throw new Unknown("no text");
    let text = "", depth = 1;
    for (; this.at < this.tokens.length; this.at += 1) {
      const token = this.tokens[this.at];
      depth += { "{": 1, "}": -1 }[token] ?? 0;
      if (!depth) break;
      text += token;
    }
    this.at += 1;
    return text;
  }

  atom() {
    const token = this.next();
    if (token === undefined) throw new Unknown("it ends too early");
    if (token === "{") {
      this.at -= 1;
      return this.argument();
    }
    if (token.startsWith("\\")) return this.command(token.slice(1));
    if (/^\d/.test(token)) return node("mn", [token]);
    if (/^\p{L}/u.test(token)) return node("mi", [token]);
    if ("}&".includes(token)) throw new Unknown(token);
    return node("mo", [token === "-" ? "−" : token]);
  }

  command(name) {
    if (name in LETTERS) return node("mi", [LETTERS[name]]);
    if (name in SIGNS) return node("mo", [SIGNS[name]]);
    if (NAMES.has(name)) return node("mi", [name]);
    if (name in SPACES) return node("mspace", [], { width: SPACES[name] });
    if ("{}|%$#&_".includes(name)) return node("mo", [name]);
    if (IGNORED.has(name)) return this.peek() === "." && this.next() ? node("mrow") : node("mrow");
    if (["frac", "dfrac", "tfrac"].includes(name)) return node("mfrac", [this.argument(), this.argument()]);
    if (["text", "textbf", "textit", "mbox", "textrm"].includes(name)) return node("mtext", [this.words()]);
    if (name in STYLES) return node("mstyle", [this.argument()], STYLES[name] === "bold" ? { class: "bold" } : {});
    if (name in ACCENTS) return node("mover", [this.argument(), node("mo", [ACCENTS[name]])], { accent: "true" });
    if (name === "underline") return node("munder", [this.argument(), node("mo", ["_"])]);
    if (name === "sqrt") return this.root();
    if (name === "begin") return this.table();
    throw new Unknown(name);
  }

  root() {
    if (this.peek() !== "[") return node("msqrt", [this.argument()]);
    this.next();
    const degree = this.row("]");
    this.next();
    return node("mroot", [this.argument(), degree]);
  }

  table() {
    const kind = this.words();
    if (!(kind in BRACKETS)) throw new Unknown(kind);
    if (kind === "array") this.words(); // how its columns lie
    const rows = [[]];
    while (true) {
      rows.at(-1).push(node("mtd", [this.row("&", "\\\\", "\\end")]));
      const end = this.next();
      if (end === "\\\\") rows.push([]);
      if (end === "\\end") break;
    }
    this.words();
    const table = node("mtable", rows.map((cells) => node("mtr", cells)));
    const [open, close] = BRACKETS[kind];
    return node("mrow", [node("mo", [open]), table, node("mo", [close])]);
  }
}

export function mathOf(source, block = false) {
  try {
    const row = new Reader(source).row();
    return node("math", [row], { display: block ? "block" : "inline", "aria-label": source });
  } catch (error) {
    if (!(error instanceof Unknown)) throw error;
    return Object.assign(document.createElement("code"), { className: "formula", textContent: source });
  }
}

// Text in which formulas stand between dollar signs; prices have those too.
export function withMath(text) {
  const made = document.createDocumentFragment();
  text.split(/(\$\$?[^$\n]+?\$\$?)/).forEach((part, i) => {
    const inner = part.replace(/^\$+|\$+$/g, "").trim();
    made.append(i % 2 && (/[\\^_={}+<>]/.test(inner) || /^[^\s\d]{1,3}$/.test(inner)) ? mathOf(inner) : part);
  });
  return made;
}
