// The forms of the desk: an embargo until a moment, and a correction of the texts.

import { t } from "../shared/texts.js";
import { el } from "../shared/dom.js";

const two = (number) => String(number).padStart(2, "0");
/** A moment as a field of date and time has it, in the reader's zone. */
const local = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;

export function embargoForm(send) {
  const until = el("input", { type: "datetime-local", required: true, value: local(new Date(Date.now() + 3_600_000)) });
  return el("form", { class: "desk-form", onsubmit: (event) => { event.preventDefault(); send({ embargoed: new Date(until.value).toISOString() }); } },
    el("label", {}, t("Hidden until"), " ", until),
    el("p", { class: "hint" }, t("It holds the newest version and later ones; the version before it, if there is one, is shown again.")),
    el("button", { type: "submit", class: "go" }, t("Put under embargo")));
}

function field(label, value, rows, hint = "") {
  const input = rows ? el("textarea", { rows }) : el("input", { type: "text" });
  input.value = value;
  return { input, node: el("label", {}, t(label), input, hint && el("span", { class: "hint" }, t(hint))) };
}

/** The texts of an item that a correction may change, by their names in the API. */
export const textsOf = (item) => ({
  headline: item.headline || "", description: item.description_caption || item.description_summary || "", body: item.body_text || "", ednote: item.ednote || "",
});

export function correctionForm(item, send) {
  const old = textsOf(item);
  const isText = item.type === "text";
  const fields = {
    headline: field("Headline", old.headline, 0),
    ...((old.description || !isText) && { description: field("Caption", old.description, 3) }),
    ...((old.body || isText) && { body: field("Text", old.body, 12, "Plain text; a blank line begins a paragraph.") }),
    ednote: field("Editor's note", old.ednote, 0),
  };
  const why = el("input", { type: "text", required: true, maxlength: 500 });
  const problem = el("p", { class: "hint", role: "alert" });
  const submit = (event) => {
    event.preventDefault();
    const changed = Object.entries(fields).map(([name, { input }]) => [name, input.value]).filter(([name, text]) => text !== old[name]);
    if (!changed.length) problem.textContent = t("Nothing differs from what is recorded.");
    else send({ version: item.version, ...Object.fromEntries(changed), reason: why.value });
  };
  return el("form", { class: "desk-form", onsubmit: submit }, Object.values(fields).map(({ node }) => node),
    el("label", {}, t("Reason, for the audit log"), why), problem, el("button", { type: "submit", class: "go" }, t("Record the correction")));
}
