// The page's words in the reader's language. The English text is the key of each table, so code and
// index.html stay readable, and a text without a translation is shown in English.

import desk from "./spanish.js";
import edit from "../edit/spanish.js";
import judge from "../judge/spanish.js";
import examples from "../search/spanish.js";

const TABLES = { es: { ...desk, ...edit, ...judge, ...examples } };
const CHOSEN = "dateline-language";
const ATTRIBUTES = ["aria-label", "placeholder", "title", "content"];

/** "en" or "es": what the reader chose on this page, else the browser's language. */
export const language = (() => {
  const wanted = localStorage.getItem(CHOSEN) || navigator.language || "en";
  return Object.keys(TABLES).find((one) => wanted.toLowerCase().startsWith(one)) || "en";
})();

/** The locale of dates and numbers: the browser's own where it fits the language. */
export const locale = (navigator.language || "").toLowerCase().startsWith(language) ? navigator.language : language;

const said = (text) => TABLES[language]?.[text] ?? text;

/** A text in the reader's language; `{name}` in it is replaced by the value with that name. */
export function t(text, values = {}) {
  return said(text).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Makes a button that keeps the choice of the other language, and shows the page in it. */
export function offerLanguage(button) {
  const [other, name] = language === "es" ? ["en", "English"] : ["es", "Español"];
  button.textContent = name;
  button.lang = other;
  button.addEventListener("click", () => {
    localStorage.setItem(CHOSEN, other);
    location.reload();
  });
}

function translateText(node) {
  const text = node.data.trim().replace(/\s+/g, " ");
  if (text && said(text) !== text) node.data = node.data.replace(node.data.trim(), said(text));
}

/** Translates what the document has at the start: its texts, labels, titles and placeholders. */
export function translateDocument() {
  document.documentElement.lang = language;
  if (!TABLES[language]) return;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) translateText(walker.currentNode);
  for (const name of ATTRIBUTES) {
    for (const node of document.querySelectorAll(`[${name}]`)) node.setAttribute(name, said(node.getAttribute(name)));
  }
}
