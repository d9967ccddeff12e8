// What the page says, in both languages; functions where a number or a name goes in.

const plural = (n, one, few, many) => {
  const form = new Intl.PluralRules("ru").select(n);
  return `${n} ${form === "one" ? one : form === "few" ? few : many}`;
};

const WORDS = {
  en: {
    other: "Русский", skip: "Skip to the result", docs: "API", drop: "Drop a document here, click, or paste",
    kinds: "PDF, PNG, JPEG, WebP, BMP, GIF, TIFF", pages: "Pages", hint: "Language of the text", auto: "tell by itself",
    stop: "Stop", again: "Read again", result: "Result", view: "View", rendered: "Text", source: "Markdown",
    copy: "Copy Markdown", copied: "Copied", download: "Download Markdown", json: "Download JSON",
    page: (n) => `Page ${n}`, picture: (n) => `Page ${n} with its regions`, image: "Picture from the document",
    uploading: (name) => `Reading ${name}…`,
    progress: (n) => (n === 1 ? "1 page is here…" : `${n} pages are here…`),
    stopped: "Stopped.", empty: "There is no text on this page.",
    done: (pages, regions, failed, seconds) =>
      `Done: ${pages} ${pages === 1 ? "page" : "pages"}, ${regions} ${regions === 1 ? "region" : "regions"}` +
      `${failed ? `, ${failed} could not be read` : ""}, ${seconds} s.`,
    unread: (detail) => `Could not be read: ${detail}`, cut: "The text is cut: it is longer than the model's answer may be.",
    later: (seconds) => `Try again in ${seconds} s.`, id: (id) => `Request ${id}`,
    lost: "The connection was lost before the document was read to its end.",
    unreachable: "The service cannot be reached.",
    states: {
      ready: "The recogniser is ready", starting: "The recogniser is starting", hung: "The recogniser hangs",
      unhealthy: "The recogniser answers errors", unreachable: "The recogniser cannot be reached",
    },
    errors: {
      empty_document: "The file is empty.", corrupt_document: "The file is damaged.",
      encrypted_document: "The document is protected by a password.",
      unsupported_document: "Files of this kind cannot be read.", body_too_large: "The file is too large.",
      too_many_pages: "The document has too many pages.", too_many_pixels: "The picture has too many pixels.",
      invalid_request: "Something is wrong with the options.", unauthorized: "A key is needed.",
      overloaded: "The service is full.", backend_starting: "The service is still starting.",
      backend_unavailable: "The recogniser is away.", shutting_down: "The service is being stopped.",
      deadline_exceeded: "Reading took too long.",
    },
    failed: "The document could not be read.",
    labels: { title: "title", table: "table", formula: "formula", figure: "picture", margin: "margin", text: "text" },
  },
  ru: {
    other: "English", skip: "К результату", docs: "API", drop: "Перетащите документ сюда, нажмите или вставьте",
    kinds: "PDF, PNG, JPEG, WebP, BMP, GIF, TIFF", pages: "Страницы", hint: "Язык текста", auto: "определить",
    stop: "Остановить", again: "Прочитать снова", result: "Результат", view: "Вид", rendered: "Текст", source: "Markdown",
    copy: "Скопировать Markdown", copied: "Скопировано", download: "Скачать Markdown", json: "Скачать JSON",
    page: (n) => `Страница ${n}`, picture: (n) => `Страница ${n} и её области`, image: "Изображение из документа",
    uploading: (name) => `Читаю ${name}…`,
    progress: (n) => `${plural(n, "страница готова", "страницы готовы", "страниц готово")}…`,
    stopped: "Остановлено.", empty: "На этой странице нет текста.",
    done: (pages, regions, failed, seconds) =>
      `Готово: ${plural(pages, "страница", "страницы", "страниц")}, ` +
      `${plural(regions, "область", "области", "областей")}` +
      `${failed ? `, не прочитано: ${failed}` : ""}, ${seconds} с.`,
    unread: (detail) => `Не удалось прочитать: ${detail}`, cut: "Текст обрезан: он длиннее предельного ответа модели.",
    later: (seconds) => `Повторите через ${seconds} с.`, id: (id) => `Запрос ${id}`,
    lost: "Связь прервалась раньше, чем документ был прочитан до конца.",
    unreachable: "Сервис недоступен.",
    states: {
      ready: "Распознаватель готов", starting: "Распознаватель запускается", hung: "Распознаватель завис",
      unhealthy: "Распознаватель отвечает ошибками", unreachable: "Распознаватель недоступен",
    },
    errors: {
      empty_document: "Файл пуст.", corrupt_document: "Файл повреждён.",
      encrypted_document: "Документ защищён паролем.",
      unsupported_document: "Файлы этого вида не читаются.", body_too_large: "Файл слишком велик.",
      too_many_pages: "В документе слишком много страниц.", too_many_pixels: "В изображении слишком много пикселей.",
      invalid_request: "Что-то не так с параметрами.", unauthorized: "Нужен ключ.",
      overloaded: "Сервис переполнен.", backend_starting: "Сервис ещё запускается.",
      backend_unavailable: "Распознаватель недоступен.", shutting_down: "Сервис останавливается.",
      deadline_exceeded: "Чтение заняло слишком много времени.",
    },
    failed: "Документ не удалось прочитать.",
    labels: {
      title: "заголовок", table: "таблица", formula: "формула", figure: "изображение", margin: "поля", text: "текст",
    },
  },
};

const kept = () => {
  try { return localStorage.getItem("language"); } catch { return null; }
};

let language = kept() ?? (navigator.language.toLowerCase().startsWith("ru") ? "ru" : "en");
if (!(language in WORDS)) language = "en";

export const say = (name, ...given) => {
  const words = WORDS[language][name];
  return typeof words === "function" ? words(...given) : words;
};

// Puts the words into everything marked with data-say, and the language on the document.
export function speak() {
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll("[data-say]")) one.textContent = say(one.dataset.say);
  for (const one of document.querySelectorAll("[data-say-label]")) one.ariaLabel = say(one.dataset.sayLabel);
}

export function switchLanguage() {
  language = language === "ru" ? "en" : "ru";
  try { localStorage.setItem("language", language); } catch { /* a private window may forbid it */ }
}

export const otherLanguage = () => (language === "ru" ? "en" : "ru");
